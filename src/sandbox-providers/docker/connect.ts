import type { Duplex } from 'node:stream';
import type { Container, Exec } from 'dockerode';
import { deadline, orAbort } from '../../kernel/deadline.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import { guestRunDirectory } from '../../wire/contract/guest-api.ts';
import type { WireChannel } from '../contract/sandbox-provider.ts';
import { openDirectSocket } from './direct-socket.ts';
import { engineCall, EngineRefusal, unlessRefused } from './engine-call.ts';
import { type ExecOutput, ExecStream } from './exec-stream.ts';

/**
 * How long the pipe waits for the guest to listen: 1,000 tries, 5 ms apart. A new guest takes some 60 to 300 ms. It waits
 * in the sandbox, so that nothing is guessed here; a pipe that nobody wants any more ends when its tries do.
 */
const patience = { retries: 1000, intervalSeconds: 0.005 } as const;

/** The same without a pipe, which would go on in the sandbox: 5 s were too few for one of eight guests on a machine that is busy. */
const directPatienceMs = 20_000;

/** Bytes that socat moves at a time. Beyond 64 KiB nothing is gained, since the engine's frames are smaller. */
const pipeBufferBytes = 65_536;

/** socat's notice that both of its ends are connected. Read from standard error, apart from the data. */
const pipeOpenNotice = 'starting data transfer loop';

/** A failed exec is reported in one line on standard output; more than this is data of a pipe that is open. */
const longestRefusalBytes = 4096;

interface ChannelRequest {
  readonly container: Container;
  readonly agentId: AgentId;
  readonly channel: WireChannel;
  /** Whether the engine may be on this machine, so that the guest's socket can be had without a pipe. */
  readonly isLocal: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** A byte stream to the guest's socket of the channel, once the guest listens: the socket itself, or a pipe to it. */
export async function connectChannel(request: ChannelRequest): Promise<Duplex> {
  return (request.isLocal ? await directSocket(request) : undefined) ?? (await openPipe(request));
}

async function directSocket({
  container,
  agentId,
  channel,
  timeoutMs,
  signal,
}: ChannelRequest): Promise<Duplex | undefined> {
  const what = `Connecting to ${agentId}`;
  const found = await unlessRefused(
    engineCall({ what, timeoutMs, signal, request: (abortSignal) => container.inspect({ abortSignal }) }),
    404,
  );
  if (found === undefined || !found.State.Running || found.State.Paused) throw notRunning(agentId);
  const intervalMs = patience.intervalSeconds * 1_000;
  using limit = deadline(directPatienceMs, `Waiting for the guest of ${agentId}`, signal);
  try {
    const { Id: containerId, State: state } = found;
    return await openDirectSocket({ containerId, pid: state.Pid, channel, intervalMs, signal: limit.signal });
  } catch (thrown) {
    signal?.throwIfAborted();
    throw notListening({ agentId, channel }, { cause: thrown });
  }
}

/**
 * Runs a small pipe in the container, from its standard input and output to the guest's socket of the channel.
 * socat, measured against the same pipe in Node: 38 instead of 61 ms to the first byte, 5 instead of 50 to 80 MB each, and no slower.
 */
async function openPipe(request: ChannelRequest): Promise<ExecStream> {
  const stream = new ExecStream(await startPipe(request), isPipeOpen);
  try {
    await (request.signal ? orAbort(stream.opened, request.signal) : stream.opened);
    return stream;
  } catch (thrown) {
    const said = firstLine(stream.stderr) || firstLine(String(stream.read() ?? ''));
    stream.destroy();
    request.signal?.throwIfAborted();
    throw notListening(request, { cause: thrown, details: { said } });
  }
}

function notListening(
  { agentId, channel }: Pick<ChannelRequest, 'agentId' | 'channel'>,
  options: { readonly cause: unknown; readonly details?: Readonly<Record<string, string>> },
): CaissonError {
  return new CaissonError('WIRE_LOST', `The guest of ${agentId} does not listen on its ${channel} socket.`, options);
}

function notRunning(agentId: AgentId, cause?: unknown): CaissonError {
  return new CaissonError('SANDBOX_NOT_RUNNING', `The sandbox of ${agentId} is not running.`, { cause });
}

async function startPipe({ container, agentId, channel, timeoutMs, signal }: ChannelRequest): Promise<Duplex> {
  const what = `Connecting to ${agentId}`;
  try {
    const exec = await engineCall({
      what,
      timeoutMs,
      signal,
      request: (abortSignal) =>
        container.exec({
          Cmd: pipeCommand(channel),
          AttachStdin: true,
          AttachStdout: true,
          AttachStderr: true,
          WorkingDir: '/',
          abortSignal,
        }),
    });
    return await engineCall({
      what,
      timeoutMs,
      signal,
      request: (abortSignal) => hijack(exec, abortSignal),
    });
  } catch (thrown) {
    // 404: no such container; 409: stopped or paused; 500: it stopped in between.
    if (!(thrown instanceof EngineRefusal)) throw thrown;
    throw notRunning(agentId, thrown);
  }
}

/**
 * Starts the exec and takes its connection over. A start that the engine refuses would leave the connection open, for its
 * request has no end of its own: nothing but an abort closes it.
 */
async function hijack(exec: Exec, signal: AbortSignal): Promise<Duplex> {
  const request = new AbortController();
  try {
    const abortSignal = AbortSignal.any([signal, request.signal]);
    const connection = await exec.start({ hijack: true, stdin: true, abortSignal });
    if (signal.aborted) connection.destroy(); // nobody waits for it any more
    return connection;
  } catch (thrown) {
    request.abort(thrown);
    throw thrown;
  }
}

function pipeCommand(channel: WireChannel): string[] {
  const { retries, intervalSeconds } = patience;
  const guest = `UNIX-CONNECT:${guestRunDirectory}/${channel}.sock,retry=${retries},interval=${intervalSeconds}`;
  return ['socat', '-d', '-d', '-b', String(pipeBufferBytes), 'STDIO', guest];
}

function isPipeOpen({ stderr, stdoutBytes }: ExecOutput): boolean {
  return stdoutBytes > longestRefusalBytes || stderr.includes(pipeOpenNotice);
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0]?.slice(0, 200) ?? '';
}
