import type { Agent } from '../../agents/agent.ts';
import type { Guest, SandboxObserver, Sandboxes } from '../../agents/ports.ts';
import type { Clock } from '../../kernel/clock.ts';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import { type AgentId, agentMadeAt } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { pause } from '../../kernel/pause.ts';
import type { Sandbox, SandboxProvider, SandboxSpec, StopOptions } from '../../sandbox-providers/contract/index.ts';
import type { GuestClient } from '../../wire/guest-client.ts';
import type { OutwardHandler } from '../../wire/serve-outward.ts';
import { howItEnded } from './how-it-ended.ts';
import { Tether, type TetherOptions } from './tether.ts';

/** Sandboxes that a starting control plane attaches to at the same time. */
const attachingAtOnce = 4;
/** An engine that comes up with the machine is there within seconds; one that is gone for hours is asked twice a minute. */
const firstRetryMs = 1_000;
const longestRetryMs = 30_000;
const reapEveryMs = 5 * 60_000;
/** How long a fleet that closes waits for what the provider was asked to do. A start takes some 0.3 s, a stop up to 3. */
const lettingGoMs = 3_000;

interface FleetOptions {
  readonly provider: SandboxProvider;
  readonly observer: SandboxObserver;
  readonly specOf: (agent: Agent) => SandboxSpec;
  /** What a guest asks of the control plane, by the agent whose wire it came through. */
  readonly outwardFor: (agentId: AgentId) => OutwardHandler;
  /** The same for what it asks of the world. */
  readonly egressFor: (agentId: AgentId) => OutwardHandler;
  /** What an agent's sandbox is to trust besides the certificate authorities of its image, as PEM. */
  readonly authoritiesFor: (agentId: AgentId) => Promise<string>;
  /**
   * Since when it is known which agents there are, in milliseconds since the epoch. Sandboxes of agents that were made before are somebody else's,
   * whatever they carry, and are left.
   */
  readonly knownSince: number;
  readonly onWireBroken?: TetherOptions['onWireBroken'];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Agents that one line of the log names. */
const mostNamed = 20;

/** All sandboxes of this control plane: one tether for each agent that was used since it started. */
export class Fleet implements Sandboxes, AsyncDisposable {
  readonly #options: FleetOptions;
  /** At most one for each agent. */
  readonly #tethers = new Map<AgentId, Tether>();
  #cancelReap: () => void = () => undefined;
  #starting: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** Sandboxes that a wire is held to at the moment. */
  get attached(): number {
    return this.#tethers.values().reduce((sum, { attachment }) => sum + (attachment === undefined ? 0 : 1), 0);
  }

  async ensureGuest(agent: Agent): Promise<Guest> {
    return (await this.#tether(agent.id).ensure(agent)).guest;
  }

  /** What reaches into the agent's sandbox, which is brought up where needed. Rejects with what kept it from starting. */
  async ensureClient(agent: Agent): Promise<GuestClient> {
    return (this.#tethers.get(agent.id)?.attachment ?? (await this.#tether(agent.id).ensure(agent))).client;
  }

  /** The same where the sandbox runs; undefined where it does not. Rejects, soon, with what keeps that from being known. */
  async findClient(agent: Agent): Promise<GuestClient | undefined> {
    return (this.#tethers.get(agent.id)?.attachment ?? (await this.#tether(agent.id).find()))?.client;
  }

  currentGuest(agentId: AgentId): Guest | undefined {
    return this.#tethers.get(agentId)?.attachment?.guest;
  }

  async reattach(agent: Agent): Promise<Guest | undefined> {
    return (await this.#tether(agent.id).reattach())?.guest;
  }

  async isIdle(agentId: AgentId): Promise<boolean> {
    const client = this.#tethers.get(agentId)?.attachment?.client;
    if (client === undefined) return false;
    const { tree, isTreeCut } = await client.processes.list();
    const isOurs = tree.every(({ owner }) => owner?.kind === 'guest' || owner?.kind === 'harness');
    // What a command of the harness left behind belongs to the harness as well: a server is known by its port.
    return isOurs && !isTreeCut && (await client.ports.list()).length === 0;
  }

  async stop(agentId: AgentId, reason: string, options?: StopOptions): Promise<void> {
    await this.#tether(agentId).stop(reason, options);
  }

  /** Removes the sandbox of an agent that stays, with its files; a message that comes meanwhile gets a new one afterwards. */
  async remove(agentId: AgentId, reason: string): Promise<void> {
    await this.#tether(agentId).remove(reason);
  }

  async destroy(agent: Agent): Promise<void> {
    await this.#tethers.get(agent.id)?.close();
    await this.#options.provider.destroy(agent.id);
    this.#tethers.delete(agent.id);
  }

  /**
   * Takes up the sandboxes that an earlier control plane left: attaches to those that run, reports those that do not, and
   * from then on removes what carries our label, was made since `knownSince` and belongs to no agent. A provider that does not answer is no error here:
   * it is asked again until it does, for what died meanwhile would count as running. Resolves when all are taken up, or the fleet is closed.
   */
  start(agents: () => Promise<readonly Agent[]>): Promise<void> {
    this.#starting = this.#takeUp(agents);
    return this.#starting;
  }

  /**
   * Detaches from every sandbox; they go on by themselves. Nothing is attached to or started after that. What the provider was asked to do
   * has `lettingGoMs` to end, and is then left to it: a stop or a start may take minutes where an engine is held up, and the next
   * control plane finds out what became of it, as after `kill -9`.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const { clock, logger } = this.#options;
    this.#closing.abort();
    this.#cancelReap();
    const busy = new Set(this.#tethers.keys());
    const lettingGo = [...this.#tethers].map(async ([agentId, tether]) => {
      await tether.close();
      busy.delete(agentId);
    });
    const overdue = Promise.withResolvers<'overdue'>();
    const cancel = clock.schedule(lettingGoMs, () => overdue.resolve('overdue'));
    const outcome = await Promise.race([Promise.all([...lettingGo, this.#starting]), overdue.promise]);
    cancel();
    if (outcome !== 'overdue') return;
    logger.warn(
      { agentIds: [...busy].slice(0, mostNamed) },
      'the provider is held up; what it was asked to do is left to it',
    );
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  async #takeUp(agents: () => Promise<readonly Agent[]>): Promise<void> {
    const { clock, logger } = this.#options;
    for (let retryMs = firstRetryMs; !this.#closed; retryMs = Math.min(retryMs * 2, longestRetryMs)) {
      try {
        await this.#takeStock(agents);
        break;
      } catch (thrown) {
        if (this.#closed) return;
        const fields = { code: toCaissonError(thrown).code, retryMs, err: thrown };
        logger.error(fields, 'the sandboxes of earlier could not be taken up');
      }
      await pause(clock, retryMs, this.#closing.signal).catch(() => undefined); // the next round sees that it is closed
    }
    await this.#reap(agents);
  }

  async #takeStock(agents: () => Promise<readonly Agent[]>): Promise<void> {
    const { provider, observer, logger } = this.#options;
    const known = (await agents()).filter((agent) => !agent.deleting);
    const running = new Set<AgentId>();
    for (const sandbox of await provider.list()) {
      if (sandbox.state === 'running' || sandbox.state === 'paused') running.add(sandbox.agentId);
    }
    for (const agent of known) {
      if (this.#closed) return;
      if (running.has(agent.id) || agent.sandbox.state === 'stopped' || agent.sandbox.state === 'failed') continue;
      const reason = howItEnded(await provider.find(agent.id));
      // One that was used meanwhile has a tether, which finds out by itself and knows better than this list.
      if (!this.#tethers.has(agent.id)) await observer.sandboxLost(agent.id, reason);
    }
    const waiting = known.filter((agent) => running.has(agent.id));
    const attachNext = async (): Promise<void> => {
      for (let agent = waiting.shift(); agent !== undefined && !this.#closed; agent = waiting.shift()) {
        await this.reattach(agent).catch((error: unknown) => {
          logger.warn({ err: error }, 'a running sandbox could not be attached');
        });
      }
    };
    await Promise.all(Array.from({ length: attachingAtOnce }, attachNext));
  }

  async #reap(agents: () => Promise<readonly Agent[]>): Promise<void> {
    const { provider, logger, clock, knownSince } = this.#options;
    if (this.#closed) return;
    try {
      // Sandboxes first: a sandbox is made after its agent's row, so one without a row now has lost its agent.
      const sandboxes: readonly Sandbox[] = await provider.list();
      const living = new Set((await agents()).map((agent) => agent.id));
      const strangers: AgentId[] = [];
      for (const { agentId, providerId } of sandboxes) {
        if (living.has(agentId) || this.#closed) continue;
        if (agentMadeAt(agentId) < knownSince) {
          strangers.push(agentId);
          continue;
        }
        logger.warn({ agentId, providerId }, 'a sandbox without an agent is removed');
        await provider.destroy(agentId);
      }
      if (strangers.length > 0) {
        const fields = { sandboxes: strangers.length, agentIds: strangers.slice(0, mostNamed) };
        logger.error(fields, 'sandboxes that carry our instance are older than the data directory; they are left');
      }
    } catch (thrown) {
      logger.warn({ code: toCaissonError(thrown).code, err: thrown }, 'looking for sandboxes without an agent failed');
    }
    if (!this.#closed) this.#cancelReap = clock.schedule(reapEveryMs, () => void this.#reap(agents));
  }

  #tether(agentId: AgentId): Tether {
    if (this.#closed) throw new CaissonError('DRAINING', 'The control plane is shutting down.');
    const { outwardFor, egressFor, ...options } = this.#options;
    const tether =
      this.#tethers.get(agentId) ??
      new Tether({ ...options, agentId, outward: outwardFor(agentId), egress: egressFor(agentId) });
    this.#tethers.set(agentId, tether);
    return tether;
  }
}
