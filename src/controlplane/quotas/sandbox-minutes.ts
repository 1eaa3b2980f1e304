import type { AgentStore, AgentUp } from '../../agents/ports.ts';
import type { Clock } from '../../kernel/clock.ts';
import { orAbort } from '../../kernel/deadline.ts';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { minuteOf } from './agent-quotas.ts';
import type { Ledger } from './ledger.ts';

const lookEveryMs = 10_000;
const minuteMs = 60_000;
const expiresInMs = 60_000;

interface SandboxMinutesOptions {
  readonly agents: Pick<AgentStore, 'listAgentsUp'>;
  readonly ledger: Pick<Ledger, 'reserve'>;
  readonly stop: (agentId: AgentId, reason: string) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Counts the minutes that sandboxes are up. The first was taken when the sandbox started (`AgentQuotas.holdMinute`); each
 * further one is taken when it begins, within 10 s. One that has no minute left is stopped. Of a time in which there was no
 * control plane, nothing is counted.
 */
export class SandboxMinutes implements AsyncDisposable {
  readonly #options: SandboxMinutesOptions;
  /** When the next minute of a sandbox begins, on the clock that does not jump. One for each that is up. */
  readonly #due = new Map<AgentId, number>();
  #cancel: () => void = () => undefined;
  #round: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();

  constructor(options: SandboxMinutesOptions) {
    this.#options = options;
    this.#schedule();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the control plane closes'));
    this.#cancel();
    await this.#round; // does not wait for the stop of a sandbox, which is the fleet's
  }

  #schedule(): void {
    this.#cancel = this.#options.clock.schedule(lookEveryMs, () => {
      this.#round = this.#look().finally(() => {
        if (!this.#closing.signal.aborted) this.#schedule();
      });
    });
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { agents, clock, logger } = this.#options;
    try {
      const up = await agents.listAgentsUp(null);
      const ids = new Set(up.map(({ id }) => id));
      for (const id of this.#due.keys()) if (!ids.has(id)) this.#due.delete(id);
      for (const agent of up) {
        if (this.#closing.signal.aborted) return;
        const now = clock.elapsed();
        const due = this.#due.get(agent.id) ?? now + minuteMs;
        this.#due.set(agent.id, due);
        if (now < due) continue;
        this.#due.set(agent.id, Math.max(due, now - lookEveryMs) + minuteMs);
        await this.#take(agent);
      }
    } catch (thrown) {
      if (!this.#closing.signal.aborted) logger.warn({ err: thrown }, 'the minutes of sandboxes could not be counted');
    }
  }

  async #take(agent: AgentUp): Promise<void> {
    const { ledger, stop, logger } = this.#options;
    const charges = minuteOf(agent);
    try {
      await (await ledger.reserve(charges, { expiresInMs })).settle(charges);
    } catch (thrown) {
      const { code, message, hint } = toCaissonError(thrown);
      if (thrown instanceof CaissonError && code === 'AGENT_NOT_FOUND') return; // deleted meanwhile
      if (code !== 'QUOTA_EXCEEDED') throw thrown;
      logger.info({ agentId: agent.id }, 'a sandbox without minutes is stopped');
      await orAbort(stop(agent.id, `${message} ${hint}`), this.#closing.signal);
    }
  }
}
