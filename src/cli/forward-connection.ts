import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { WebSocket } from 'ws';
import { socketOpenMs } from '../client/call-limits.ts';
import { networkReason, unreachable } from '../client/endpoint.ts';
import { SilenceWatch } from '../client/silence-watch.ts';
import { CaissonError, readErrorBody } from '../kernel/errors.ts';
import { resetSocket } from '../kernel/reset-socket.ts';
import { SocketDuplex } from '../kernel/socket-duplex.ts';

/** For nothing to come: the control plane gives a sign of life every 20 s. */
const silenceMs = 45_000;

/** So often this side gives one: the control plane takes a client for gone of whom nothing comes for 20 s. */
const pongEveryMs = 8_000;

interface ForwardTarget {
  /** Of the control plane. */
  readonly url: string;
  readonly apiKey: string;
  readonly agentId: string;
  readonly port: number;
}

/**
 * Joins a local connection, which must be paused, to a port of a sandbox. Resolves when both ways have ended; each ends by
 * itself. Rejects, and resets the local connection, when it cannot be made or breaks.
 */
export async function forwardConnection(local: Socket, target: ForwardTarget): Promise<void> {
  local.on('error', () => undefined); // also emits 'close'
  let remote: SocketDuplex;
  try {
    const opened = await openSocket(local, target);
    const { socket } = opened;
    remote = opened.remote;
    endWhenSilent(socket, remote, target.url);
    giveSignsOfLife(socket);
  } catch (thrown) {
    if (local.destroyed) return; // whoever asked has left
    resetSocket(local);
    throw thrown;
  }
  const ended = Promise.withResolvers<void>();
  remote.on('error', (error) => ended.reject(error));
  remote.once('close', () => {
    if (remote.errored !== null) resetSocket(local);
    ended.resolve();
  });
  local.once('close', () => {
    if (local.readableEnded && local.writableFinished) return;
    remote.off('error', ended.reject);
    ended.resolve(); // it was this side that left
    remote.destroy();
  });
  if (local.destroyed) remote.destroy();
  local.pipe(remote).pipe(local);
  await ended.promise;
}

interface Opened {
  readonly socket: WebSocket;
  readonly remote: SocketDuplex;
}

async function openSocket(local: Socket, { url, apiKey, agentId, port }: ForwardTarget): Promise<Opened> {
  const address = new URL(`${url.replace(/\/+$/, '')}/v1/agents/${agentId}/ports/${port}/connect`);
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(address, 'caisson.v1', {
    headers: { authorization: `Bearer ${apiKey}` },
    perMessageDeflate: false,
  });
  const refused = once(socket, 'unexpected-response').then(async ([, answer]) => {
    throw await refusalOf(answer as IncomingMessage);
  });
  refused.catch(() => undefined); // awaited below, unless the socket opens
  const opened = Promise.withResolvers<Opened>();
  // At once: the first bytes may have come in one piece with the handshake, and are told before a promise settles.
  socket.once('open', () => opened.resolve({ socket, remote: new SocketDuplex(socket) }));
  socket.once('error', opened.reject);
  const silent = Promise.withResolvers<never>();
  const watch = new SilenceWatch(url, socketOpenMs, silent.reject);
  watch.start();
  const leave = (): void => socket.terminate();
  local.once('close', leave);
  try {
    return await Promise.race([opened.promise, refused, silent.promise]);
  } catch (thrown) {
    socket.on('error', () => undefined).terminate();
    throw thrown instanceof CaissonError ? thrown : unreachable(url, networkReason(thrown), thrown);
  } finally {
    watch.stop();
    local.off('close', leave);
  }
}

/** Where nothing comes because nothing is read here, it is no silence. */
function endWhenSilent(socket: WebSocket, remote: SocketDuplex, url: string): void {
  const watch = new SilenceWatch(url, silenceMs, (error) => {
    if (socket.isPaused) watch.start();
    else remote.destroy(error);
  });
  watch.start();
  socket.on('message', () => watch.start());
  remote.once('close', () => watch.stop());
}

/** Pings lie unread while the local reader pauses, with up to some MiB in front of them. */
function giveSignsOfLife(socket: WebSocket): void {
  const timer = setInterval(() => {
    if (socket.bufferedAmount === 0) socket.pong(); // else there is enough to hear
  }, pongEveryMs);
  socket.once('close', () => clearInterval(timer));
}

/** The control plane's own words. */
async function refusalOf(answer: IncomingMessage): Promise<CaissonError> {
  const body = await text(answer);
  let error: unknown;
  try {
    error = (JSON.parse(body) as { error?: { data?: { caisson?: unknown } } }).error?.data?.caisson;
  } catch {
    error = undefined; // not one of ours
  }
  return (
    readErrorBody(error) ??
    new CaissonError('CONTROL_PLANE_UNREACHABLE', `The control plane answered with HTTP ${answer.statusCode}.`)
  );
}
