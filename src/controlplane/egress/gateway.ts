import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type Clock, systemClock } from '../../kernel/clock.ts';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import { egressHeaders, egressPath } from '../../wire/contract/egress.ts';
import { answerError } from './answer-error.ts';
import { type ConnectTo, connectTcp } from './dial.ts';
import { EgressConnection } from './egress-connection.ts';
import { defaultEgressLimits, type EgressLimits } from './egress-limits.ts';
import { Ending, endingOf } from './ending.ts';
import { HttpRelay } from './http-relay.ts';
import type { EgressLog, EgressMeter, EgressPolicy, EgressRecord, EgressSecrets } from './ports.ts';
import type { Resolve } from './resolve.ts';
import { parseTarget } from './target.ts';
import { TokenBucket } from './token-bucket.ts';

export interface EgressGatewayOptions {
  readonly policy: EgressPolicy;
  readonly meter: EgressMeter;
  readonly log: EgressLog;
  /** Default: there are none, and no TLS is opened. */
  readonly secrets?: EgressSecrets;
  /** The ports that this control plane listens on: nobody reaches them from a sandbox, whatever is allowed. */
  readonly ownPorts: () => ReadonlySet<number>;
  readonly limits?: Partial<EgressLimits>;
  readonly clock?: Clock;
  /** How an address that was checked is connected to. Default: by TCP. */
  readonly connectTo?: ConnectTo;
  /** How names are found: of public hosts, and of those that an operator has named. */
  readonly resolve: { readonly public: Resolve; readonly internal: Resolve };
}

export interface EgressGateway extends AsyncDisposable {
  /**
   * Answers one request of an agent's guest on its channel `egress`. Whose it is, is known by the wire that it came through.
   * Resolves when the connection is over, in whatever way; never rejects.
   */
  handle(agentId: AgentId, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void>;
}

/** How often connections are looked at for silence. */
const sweepEveryMs = 30_000;

/** What one agent has open, or has lately taken of its rate: to connect anew is no way around it. */
interface AgentConnections {
  readonly open: Set<EgressConnection>;
  readonly bucket: TokenBucket | undefined;
}

/**
 * The one way from a sandbox to the world. The policy decides on the name; the walls here hold whatever it decides: the name
 * is resolved here, its addresses are public or of a host that an operator has named, what is dialled is what was checked,
 * and the first bytes must name the host that was allowed. Bytes of both directions are metered and rate-limited as they
 * pass, at the pace of whoever is slower. Every connection is recorded when it is over.
 */
export function createEgressGateway(options: EgressGatewayOptions): EgressGateway {
  const { policy, meter, log, secrets, ownPorts, resolve, connectTo = connectTcp, clock = systemClock } = options;
  const limits = { ...defaultEgressLimits, ...options.limits };
  const relay = new HttpRelay(limits.helloTimeoutMs);
  const agents = new Map<AgentId, AgentConnections>();
  const underWay = new Set<Promise<EgressRecord>>();

  const all = (): EgressConnection[] => [...agents.values()].flatMap(({ open }) => [...open]);
  const unsubscribe = policy.onChanged((agentId) => {
    for (const connection of all())
      if (agentId === null || connection.agentId === agentId) void connection.decideAgain();
  });
  const stopWatching = secrets?.onChanged(() => {
    for (const connection of all()) void connection.lookAgain();
  });
  const forget = (agentId: AgentId): void => {
    const own = agents.get(agentId);
    if (own?.open.size !== 0 || own.bucket?.isFull === false) return;
    own.bucket?.[Symbol.dispose]();
    agents.delete(agentId);
  };
  let cancelSweep = (): void => undefined;
  const sweep = (): void => {
    const silent = new Ending(
      'over_limit',
      new CaissonError('DEADLINE_EXCEEDED', 'Nobody has said anything for long.'),
    );
    for (const connection of all()) if (connection.idleMs > limits.idleTimeoutMs) connection.cut(silent);
    for (const agentId of agents.keys()) forget(agentId);
    cancelSweep = clock.schedule(Math.min(sweepEveryMs, limits.idleTimeoutMs), sweep);
  };
  sweep();

  const join = (agentId: AgentId): AgentConnections => {
    const { bytesPerSecond } = limits;
    const own = agents.get(agentId) ?? {
      open: new Set(),
      bucket: bytesPerSecond === null ? undefined : new TokenBucket(bytesPerSecond, clock),
    };
    if (own.open.size >= limits.maxConnectionsPerAgent || underWay.size >= limits.maxConnections) {
      const message = `${own.open.size} connections of the sandbox are open already.`;
      throw new CaissonError('LIMIT_REACHED', message, { hint: 'Close connections that are no longer needed.' });
    }
    agents.set(agentId, own);
    return own;
  };

  return {
    async handle(agentId, stream, headers) {
      stream.on('error', () => undefined); // also emits 'close', which the connection watches
      const host = headers[egressHeaders.host];
      const port = headers[egressHeaders.port];
      let connection: EgressConnection;
      let own: AgentConnections;
      try {
        if (headers[':method'] !== 'POST' || headers[':path'] !== egressPath) {
          throw new CaissonError('BAD_REQUEST', 'There is nothing but connections here.');
        }
        const target = parseTarget(single(host), single(port));
        own = join(agentId);
        const { bucket } = own;
        connection = new EgressConnection({
          agentId,
          target,
          stream,
          policy,
          admit: (bytes) => admit(agentId, bucket, meter, bytes),
          resolvePublic: resolve.public,
          resolveInternal: resolve.internal,
          connectTo,
          ownPorts,
          relay,
          secrets,
          limits,
          clock,
        });
      } catch (thrown) {
        const { outcome, error } = endingOf(thrown);
        answerError(stream, error);
        log.record({
          agentId,
          host: printable(host),
          port: Number(printable(port)) || 0,
          decision: 'deny',
          rule: null,
          outcome,
          reason: error.message,
          secretId: null,
          sentBytes: 0,
          receivedBytes: 0,
          startedAt: clock.now(),
          durationMs: 0,
        });
        return;
      }
      log.follow(connection);
      const over = connection.run();
      own.open.add(connection);
      underWay.add(over);
      try {
        log.record(await over);
      } finally {
        underWay.delete(over);
        own.open.delete(connection);
        forget(agentId);
      }
    },
    async [Symbol.asyncDispose]() {
      unsubscribe();
      stopWatching?.();
      cancelSweep();
      const stopping = new Ending('closed', new CaissonError('DRAINING', 'The control plane is shutting down.'));
      for (const connection of all()) connection.cut(stopping);
      await Promise.allSettled(underWay); // each is recorded
    },
  };
}

/** First the pace, then the account: what is not sent is not counted. */
function admit(
  agentId: AgentId,
  bucket: TokenBucket | undefined,
  meter: EgressMeter,
  bytes: number,
): Promise<void> | void {
  const paced = bucket?.take(bytes);
  return paced === undefined ? metered(agentId, meter, bytes) : paced.then(() => metered(agentId, meter, bytes));
}

function metered(agentId: AgentId, meter: EgressMeter, bytes: number): Promise<void> | void {
  const cut = (thrown: unknown): never => {
    const error = toCaissonError(thrown);
    throw error.code === 'QUOTA_EXCEEDED' ? new Ending('over_quota', error) : endingOf(error);
  };
  try {
    const taken = meter.take(agentId, bytes);
    return taken?.catch(cut);
  } catch (thrown) {
    return cut(thrown);
  }
}

function single(header: string | string[] | undefined): string {
  return typeof header === 'string' ? header : '';
}

/** As much of it as a record may hold. */
function printable(header: string | string[] | undefined): string {
  return single(header)
    .replaceAll(/[^\x21-\x7e]/g, '?')
    .slice(0, 253);
}
