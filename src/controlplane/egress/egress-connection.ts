import type { ServerHttp2Stream } from 'node:http2';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../kernel/clock.ts';
import { deadline, orAbort } from '../../kernel/deadline.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import { resetSocket } from '../../kernel/reset-socket.ts';
import { gatherSmallPieces, holdBackSmallPieces } from '../../wire/small-pieces.ts';
import { Tunnel } from '../../wire/tunnel.ts';
import { answerError, httpRefusal } from './answer-error.ts';
import { checkAddresses } from './checked-addresses.ts';
import { type ConnectTo, dial } from './dial.ts';
import type { EgressLimits } from './egress-limits.ts';
import { Ending, endingOf } from './ending.ts';
import { listenToProgram } from './first-bytes.ts';
import type { HttpRelay } from './http-relay.ts';
import { type Admit, type Direction, MeteredTunnel } from './metered-tunnel.ts';
import type {
  EgressAllowance,
  EgressDecision,
  EgressPolicy,
  EgressRecord,
  EgressSecrets,
  EgressTarget,
  OpenConnection,
} from './ports.ts';
import { passHello } from './pass-hello.ts';
import { addressesOf, type Resolve } from './resolve.ts';
import { tlsToHost, tlsToProgram } from './secrets/tls-sides.ts';

export interface EgressConnectionOptions {
  readonly agentId: AgentId;
  readonly target: EgressTarget;
  readonly stream: ServerHttp2Stream;
  readonly policy: EgressPolicy;
  readonly admit: Admit;
  readonly resolvePublic: Resolve;
  readonly resolveInternal: Resolve;
  readonly connectTo: ConnectTo;
  readonly ownPorts: () => ReadonlySet<number>;
  readonly relay: HttpRelay;
  /** Undefined: there are none. */
  readonly secrets: EgressSecrets | undefined;
  readonly limits: EgressLimits;
  readonly clock: Clock;
}

type Carried = NonNullable<Awaited<ReturnType<EgressSecrets['find']>>>;

/** What both sides have in common. */
interface Passing {
  readonly program: Duplex;
  readonly upstream: Socket;
  readonly onRefused: (ending: Ending) => void;
}

/**
 * One connection out of a sandbox, from the question to its end. It is decided, resolved, checked, dialled and answered, in
 * this order; then its first bytes are held against the host that was allowed, and after that it passes both ways. Where there
 * is a secret for the host, TLS ends here on both sides, and every request is read and written anew. Whatever fails on the way
 * ends it.
 */
export class EgressConnection implements OpenConnection {
  readonly #options: EgressConnectionOptions;
  readonly #end = new AbortController();
  #allowed: EgressAllowance | undefined;
  /** The rules have changed since the policy was asked. */
  #isStale = false;
  #rule: string | null = null;
  /** Once it is known that TLS is spoken, it is opened for this. */
  #carried: Carried | undefined;
  /** And secrets have not changed since. */
  #isLookedUp = false;
  #isUsed = false;
  #sent = 0;
  #received = 0;
  #isOver = false;
  readonly #startedAt: number;
  readonly #began: number;
  #activeAt: number;

  constructor(options: EgressConnectionOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
    this.#began = options.clock.elapsed();
    this.#activeAt = this.#began;
  }

  get agentId(): AgentId {
    return this.#options.agentId;
  }

  /** Since the last byte, in milliseconds; 0 before the first may pass. */
  get idleMs(): number {
    return this.#allowed === undefined ? 0 : this.#options.clock.elapsed() - this.#activeAt;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  soFar(): EgressRecord | undefined {
    if (this.#allowed === undefined) return undefined;
    const reason = 'The control plane was killed while it was open.';
    return this.#record({ outcome: 'interrupted', reason, until: this.#activeAt });
  }

  cut(ending: Ending): void {
    this.#end.abort(ending);
  }

  /** Asks the policy again, and cuts the connection where it no longer allows it. Never rejects. */
  async decideAgain(): Promise<void> {
    const allowed = this.#allowed;
    if (allowed === undefined) {
      this.#isStale = true; // asked again when the decision that is under way is there
      return;
    }
    try {
      const { policy, target } = this.#options;
      this.#requireAllowed(await policy.allows(this.agentId, target, allowed), allowed);
    } catch {
      this.cut(new Ending('revoked', new CaissonError('EGRESS_DENIED', 'The rules no longer allow this connection.')));
    }
  }

  /** Looks its secret up again, and cuts the connection where it is no longer the same. Never rejects. */
  async lookAgain(): Promise<void> {
    const { secrets, target } = this.#options;
    this.#isLookedUp = false;
    const carried = this.#carried;
    if (carried === undefined) return; // what is being looked up is looked up again; what carries none goes on
    try {
      const found = await secrets?.find(this.agentId, target);
      if (found?.secret.id === carried.secret.id) return;
    } catch {
      // It cannot be read any more: that is another one too.
    }
    const message = 'The secret of this host was changed. Connect again.';
    this.cut(new Ending('revoked', new CaissonError('EGRESS_DENIED', message)));
  }

  /** Resolves, never rejects, with its record when it is over. */
  async run(): Promise<EgressRecord> {
    const { stream, clock } = this.#options;
    const gone = (): void =>
      this.cut(new Ending('closed', new CaissonError('ABORTED', 'The program gave the connection up.')));
    stream.once('close', gone).once('aborted', gone);
    let ending: Ending | undefined;
    try {
      await this.#pass();
    } catch (thrown) {
      ending = endingOf(thrown);
      answerError(stream, ending.error); // nothing more can be said once there is a connection
    } finally {
      this.#end.abort();
    }
    this.#isOver = true;
    const outcome = ending?.outcome ?? 'closed';
    const isOrdinary = outcome === 'closed' && this.#allowed !== undefined;
    const reason = isOrdinary ? null : (ending?.error.message ?? null);
    return this.#record({ outcome, reason, until: clock.elapsed() });
  }

  #record({
    outcome,
    reason,
    until,
  }: Pick<EgressRecord, 'outcome' | 'reason'> & { readonly until: number }): EgressRecord {
    const { agentId, target } = this.#options;
    return {
      agentId,
      host: target.host,
      port: target.port,
      decision: this.#allowed === undefined || outcome === 'revoked' ? 'deny' : 'allow',
      rule: this.#rule,
      outcome,
      reason,
      secretId: this.#isUsed ? (this.#carried?.secret.id ?? null) : null,
      sentBytes: this.#sent,
      receivedBytes: this.#received,
      startedAt: this.#startedAt,
      durationMs: Math.round(until - this.#began),
    };
  }

  async #pass(): Promise<void> {
    const { stream, ownPorts } = this.#options;
    const { signal } = this.#end;
    const { internal } = await this.#decide();
    await this.#lookUp();
    using upstream = new Held(await this.#dial(internal, ownPorts()), resetSocket);
    gatherSmallPieces(upstream.side);
    signal.throwIfAborted();
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    using program = new Held(
      new MeteredTunnel(new Tunnel(stream), (bytes, direction) => this.#admit(bytes, direction), unmeteredWords),
    );
    let refused: Ending | undefined;
    try {
      const onRefused = (ending: Ending): void => void (refused = ending);
      await this.#serve({ program: program.side, upstream: upstream.side, onRefused }, internal);
    } catch (thrown) {
      // What cut it here comes before what that made of the stream.
      throw cutBy(program.side) ?? refused ?? thrown;
    }
    const ending = cutBy(program.side) ?? refused;
    if (ending !== undefined) throw ending;
  }

  async #serve(passing: Passing, internal: boolean): Promise<void> {
    const { target, limits, relay } = this.#options;
    const { program, upstream, onRefused } = passing;
    const { signal } = this.#end;
    const timeoutMs = limits.helloTimeoutMs;
    const protocol = await listenToProgram(program, { target, internal, upstream, timeoutMs, signal });
    const over = Promise.all([closed(program), closed(upstream)]);
    over.catch(() => undefined); // heard below, unless something else fails before
    if (protocol !== 'tls') this.#carried = undefined;
    const carried = this.#carried;
    if (carried !== undefined) return await this.#open(passing, carried, over);
    if (protocol === 'tls') await orAbort(passHello(program, { target, upstream, timeoutMs, signal }), signal);
    if (protocol === 'http') relay.serve(program, { target, upstream, onRefused });
    else join(program, upstream);
    await orAbort(over, signal);
  }

  /** The host has to show who it is before the program hears anything. */
  async #open(
    { program, upstream, onRefused }: Passing,
    { secret, credential }: Carried,
    over: Promise<unknown>,
  ): Promise<void> {
    const { target, limits, relay, secrets } = this.#options;
    if (secrets === undefined) throw new TypeError('There is a secret, and nobody who had it.');
    const { host } = target;
    const options = { host, timeoutMs: limits.helloTimeoutMs, signal: this.#end.signal };
    const identity = await orAbort(secrets.identityFor(this.agentId, host), this.#end.signal);
    using toHost = new Held(await tlsToHost(upstream, { ...options, trust: secrets.trust }));
    using toProgram = new Held(await tlsToProgram(program, { ...options, identity }));
    const onUsed = (): void => {
      this.#isUsed = true;
      secrets.used(this.agentId, secret);
    };
    const carries = { ...credential, onUsed };
    relay.serve(toProgram.side, { target, upstream: toHost.side, onRefused, carries });
    await orAbort(over, this.#end.signal);
  }

  async #lookUp(): Promise<void> {
    const { secrets, target } = this.#options;
    if (secrets === undefined) return;
    while (!this.#isLookedUp) {
      this.#isLookedUp = true;
      this.#carried = await orAbort(secrets.find(this.agentId, target), this.#end.signal);
    }
  }

  async #decide(): Promise<EgressAllowance> {
    const { policy, target, limits } = this.#options;
    using limit = deadline(limits.decisionTimeoutMs, 'The decision', this.#end.signal);
    let decision: EgressDecision;
    try {
      decision = await orAbort(policy.decide(this.agentId, target, limit.signal), limit.signal);
    } catch (cause) {
      this.#end.signal.throwIfAborted();
      throw new Ending('denied', new CaissonError('EGRESS_DENIED', 'Nobody has allowed it in time.', { cause }));
    }
    const allowed = this.#requireAllowed(decision);
    this.#allowed = allowed;
    if (this.#isStale) await orAbort(this.decideAgain(), this.#end.signal);
    this.#end.signal.throwIfAborted();
    return allowed;
  }

  /** Where it was allowed before, it must still be allowed to as much. */
  #requireAllowed(decision: EgressDecision, before?: EgressAllowance): EgressAllowance {
    this.#rule = decision.rule;
    if (decision.verdict === 'allow' && (decision.internal || before?.internal !== true)) return decision;
    const reason = decision.verdict === 'deny' ? decision.reason : 'The host is no longer an internal one.';
    throw new Ending('denied', new CaissonError('EGRESS_DENIED', reason));
  }

  async #dial(internal: boolean, ownPorts: ReadonlySet<number>): Promise<Socket> {
    const { target, limits, resolveInternal, resolvePublic, connectTo } = this.#options;
    const { signal } = this.#end;
    using limit = deadline(limits.resolveTimeoutMs, `Resolving ${target.host}`, signal);
    const found = await addressesOf(target, internal ? resolveInternal : resolvePublic, limit.signal);
    const addresses = checkAddresses(target, found, { internal, ownPorts });
    return await dial(target, addresses, { attemptTimeoutMs: limits.dialTimeoutMs, connectTo, signal });
  }

  #admit(bytes: number, direction: Direction): Promise<void> | void {
    this.#activeAt = this.#options.clock.elapsed();
    if (direction === 'sent') this.#sent += bytes;
    else this.#received += bytes;
    return this.#options.admit(bytes, direction);
  }
}

/** A side of the connection, which does not outlive it. */
class Held<Side extends Duplex> implements Disposable {
  readonly side: Side;
  readonly #letGo: (side: Side) => void;

  constructor(side: Side, letGo: (side: Side) => void = (unended) => void unended.destroy()) {
    this.side = side;
    this.#letGo = letGo;
  }

  [Symbol.dispose](): void {
    this.#letGo(this.side);
  }
}

/** Why its bytes may not go on, to a program that speaks plain HTTP: others would take it for what the host said. */
function unmeteredWords(error: Error, first: Buffer): Buffer | undefined {
  return error instanceof Ending && /^[A-Z]{3,10} [/*]/.test(first.toString('latin1'))
    ? httpRefusal(error.error)
    : undefined;
}

function cutBy({ errored }: Duplex): Ending | undefined {
  return errored instanceof Ending ? errored : undefined;
}

/** Bytes both ways, each way with an end of its own. What was cut on one side is reset on the other: it never looks whole. */
function join(program: Duplex, upstream: Socket): void {
  const programOver = (): void => {
    if (!program.readableEnded || program.errored !== null) resetSocket(upstream);
  };
  const upstreamOver = (): void => {
    if (!upstream.readableEnded || upstream.errored !== null) program.destroy();
  };
  program.once('close', programOver);
  upstream.once('close', upstreamOver);
  if (program.destroyed) programOver();
  if (upstream.destroyed) upstreamOver();
  holdBackSmallPieces(upstream);
  holdBackSmallPieces(program);
  program.pipe(upstream);
  upstream.pipe(program);
}

async function closed(side: Duplex): Promise<void> {
  if (!side.closed) await once(side, 'close');
}
