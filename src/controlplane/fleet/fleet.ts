import type { Agent } from '../../agents/agent.ts';
import type { Guest, SandboxObserver, Sandboxes } from '../../agents/ports.ts';
import type { Clock } from '../../kernel/clock.ts';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { Sandbox, SandboxProvider, SandboxSpec, StopOptions } from '../../sandbox-providers/contract/index.ts';
import type { GuestClient } from '../../wire/guest-client.ts';
import type { OutwardHandler } from '../../wire/serve-outward.ts';
import { howItEnded } from './how-it-ended.ts';
import { Tether } from './tether.ts';

/** Sandboxes that a starting control plane attaches to at the same time. */
const attachingAtOnce = 4;
const reapEveryMs = 5 * 60_000;

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
  readonly clock: Clock;
  readonly logger: Logger;
}

/** All sandboxes of this control plane: one tether for each agent that was used since it started. */
export class Fleet implements Sandboxes, AsyncDisposable {
  readonly #options: FleetOptions;
  /** At most one for each agent. */
  readonly #tethers = new Map<AgentId, Tether>();
  #cancelReap: () => void = () => undefined;
  #starting: Promise<void> = Promise.resolve();
  #closed = false;

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
   * from now on removes what carries our label and belongs to no agent. A provider that does not answer is no error here:
   * each agent is looked for again when it is needed.
   */
  start(agents: () => Promise<readonly Agent[]>): Promise<void> {
    this.#starting = this.#takeUp(agents);
    return this.#starting;
  }

  /** Detaches from every sandbox; they go on by themselves. Nothing is attached to or started after that. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#cancelReap();
    await Promise.all([...this.#tethers.values()].map((tether) => tether.close()));
    await this.#starting;
  }

  async #takeUp(agents: () => Promise<readonly Agent[]>): Promise<void> {
    const { provider, observer, logger } = this.#options;
    try {
      const known = (await agents()).filter((agent) => !agent.deleting);
      const running = new Set<AgentId>();
      for (const sandbox of await provider.list()) {
        if (sandbox.state === 'running' || sandbox.state === 'paused') running.add(sandbox.agentId);
      }
      for (const agent of known) {
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
    } catch (thrown) {
      if (this.#closed) return;
      logger.error(
        { code: toCaissonError(thrown).code, err: thrown },
        'the sandboxes of earlier could not be taken up',
      );
    }
    await this.#reap(agents);
  }

  async #reap(agents: () => Promise<readonly Agent[]>): Promise<void> {
    const { provider, logger, clock } = this.#options;
    if (this.#closed) return;
    try {
      // Sandboxes first: a sandbox is made after its agent's row, so one without a row now has lost its agent.
      const sandboxes: readonly Sandbox[] = await provider.list();
      const living = new Set((await agents()).map((agent) => agent.id));
      for (const { agentId, providerId } of sandboxes) {
        if (living.has(agentId) || this.#closed) continue;
        logger.warn({ agentId, providerId }, 'a sandbox without an agent is removed');
        await provider.destroy(agentId);
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
