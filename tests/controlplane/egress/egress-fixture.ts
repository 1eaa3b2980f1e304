import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import type { ConnectTo } from '../../../src/controlplane/egress/dial.ts';
import { createEgressGateway } from '../../../src/controlplane/egress/gateway.ts';
import type { EgressLimits } from '../../../src/controlplane/egress/egress-limits.ts';
import type {
  EgressAllowance,
  EgressDecision,
  EgressMeter,
  EgressPolicy,
  EgressRecord,
  EgressSecrets,
  EgressTarget,
  OpenConnection,
} from '../../../src/controlplane/egress/ports.ts';
import type { Clock } from '../../../src/kernel/clock.ts';
import { type AgentId, newAgentId } from '../../../src/kernel/ids.ts';
import { serveOutward } from '../../../src/wire/serve-outward.ts';
import { type RunningGuest, runGuest } from '../../guest/running-guest.ts';
import { until } from '../../until.ts';

/** A policy that a test plays: what `rule` says, and a change when the test says so. */
export class PlayedPolicy implements EgressPolicy {
  readonly asked: EgressTarget[] = [];
  readonly #listeners = new Set<(agentId: AgentId | null) => void>();
  rule: (target: EgressTarget, signal: AbortSignal) => EgressDecision | Promise<EgressDecision> = () => internal;
  again: (target: EgressTarget, before: EgressAllowance) => EgressDecision | Promise<EgressDecision> = (target) =>
    this.rule(target, new AbortController().signal);

  async decide(_agentId: AgentId, target: EgressTarget, signal: AbortSignal): Promise<EgressDecision> {
    this.asked.push(target);
    return await this.rule(target, signal);
  }

  async allows(_agentId: AgentId, target: EgressTarget, before: EgressAllowance): Promise<EgressDecision> {
    return await this.again(target, before);
  }

  onChanged(listener: (agentId: AgentId | null) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  change(agentId: AgentId | null = null): void {
    for (const listener of this.#listeners) listener(agentId);
  }
}

export const internal: EgressDecision = { verdict: 'allow', rule: 'of the test', internal: true };
export const publicHost: EgressDecision = { verdict: 'allow', rule: 'of the test', internal: false };
export const denied: EgressDecision = { verdict: 'deny', reason: 'No rule allows it.', rule: null };

export interface EgressFixture extends AsyncDisposable {
  readonly agentId: AgentId;
  readonly running: RunningGuest;
  readonly policy: PlayedPolicy;
  readonly records: EgressRecord[];
  /** Every connection that has begun, in that order. */
  readonly open: OpenConnection[];
  readonly meter: { take: EgressMeter['take'] };
  readonly ownPorts: Set<number>;
  readonly httpProxyPort: number;
  readonly socksProxyPort: number;
  /** A connection to the HTTP proxy of the sandbox. */
  proxy(): Promise<Socket>;
  /** What CONNECT is answered, and the connection. */
  tunnel(authority: string): Promise<{ readonly status: number; readonly text: string; readonly socket: Socket }>;
  /** The record of the `count`th connection that ended. */
  recorded(count?: number): Promise<EgressRecord>;
  /** Breaks the wire. */
  cutWire(): void;
}

interface FixtureOptions {
  readonly limits?: Partial<EgressLimits>;
  /** Default: every name is this machine. */
  readonly addresses?: (host: string) => readonly string[] | Promise<readonly string[]>;
  readonly clock?: Clock;
  /** Whose sandbox it is. Default: a new one. */
  readonly agentId?: AgentId;
  readonly secrets?: EgressSecrets;
  readonly connectTo?: ConnectTo;
}

/** A real guest, with its proxies, and a real gateway, with the wire between them. */
export async function openEgress(options: FixtureOptions = {}): Promise<EgressFixture> {
  const { limits = {}, addresses = () => ['127.0.0.1'], clock, agentId = newAgentId(), secrets, connectTo } = options;
  await using undo = new AsyncDisposableStack();
  const running = undo.use(await runGuest());
  const policy = new PlayedPolicy();
  const records: EgressRecord[] = [];
  const open: OpenConnection[] = [];
  const ownPorts = new Set<number>();
  const meter: EgressFixture['meter'] = { take: () => undefined };
  const resolve = async (host: string): Promise<readonly string[]> => await addresses(host);
  const gateway = undo.use(
    createEgressGateway({
      policy,
      meter: { take: (agentId, bytes) => meter.take(agentId, bytes) },
      log: { follow: (connection) => void open.push(connection), record: (entry) => void records.push(entry) },
      ownPorts: () => ownPorts,
      limits,
      resolve: { public: resolve, internal: resolve },
      ...(clock && { clock }),
      ...(secrets && { secrets }),
      ...(connectTo && { connectTo }),
    }),
  );
  const channel = await running.socket('egress');
  const wire = serveOutward(channel, (stream, headers) => gateway.handle(agentId, stream, headers), {
    channel: 'egress',
    onHandlerError: (thrown) => {
      throw thrown;
    },
  });
  undo.defer(() => wire.close());
  const { http: httpProxyPort, socks: socksProxyPort } = running.guest.proxyPorts;
  const sockets: Socket[] = [];
  undo.defer(() => {
    for (const socket of sockets) socket.destroy();
  });
  const proxy = async (): Promise<Socket> => {
    const socket = connect({ port: httpProxyPort, host: '127.0.0.1', allowHalfOpen: true });
    sockets.push(socket);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };
  const held = undo.move();
  return {
    agentId,
    running,
    policy,
    records,
    open,
    meter,
    ownPorts,
    httpProxyPort,
    socksProxyPort,
    proxy,
    async tunnel(authority) {
      const socket = await proxy();
      socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
      const { head, rest } = await readHead(socket);
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
      return { status, text: rest, socket };
    },
    async recorded(count = 1) {
      await until(`${count} connections were recorded`, () => records.length >= count);
      const record = records[count - 1];
      if (record === undefined) throw new Error('there is no such record');
      return record;
    },
    cutWire: () => channel.destroy(),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** The head of an answer; with the whole body where it says that the connection ends. */
async function readHead(socket: Socket): Promise<{ readonly head: string; readonly rest: string }> {
  let all = '';
  for (;;) {
    const chunk = socket.read() as Buffer | null;
    if (chunk !== null) all += chunk.toString('latin1');
    const end = all.indexOf('\r\n\r\n');
    const isOver = socket.readableEnded || socket.destroyed;
    if (end >= 0) {
      const head = all.slice(0, end);
      const rest = all.slice(end + 4);
      if (head.startsWith('HTTP/1.1 200')) {
        if (rest !== '') socket.unshift(Buffer.from(rest, 'latin1'));
        return { head, rest: '' };
      }
      if (isOver || rest.length >= Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Infinity)) return { head, rest };
    }
    if (isOver) return { head: all, rest: '' };
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        socket.off('readable', settle).off('end', settle).off('close', settle);
        resolve();
      };
      socket.once('readable', settle).once('end', settle).once('close', settle);
    });
  }
}

/** Listens on a free port of this machine until the test is over. */
export async function listen(server: Server): Promise<{ readonly port: number } & AsyncDisposable> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined); // the other side is gone
    socket.once('close', () => sockets.delete(socket));
  });
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
