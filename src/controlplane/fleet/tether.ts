import type { Agent } from '../../agents/agent.ts';
import type { Guest } from '../../agents/ports.ts';
import { deadline, orAbort } from '../../kernel/deadline.ts';
import type { ErrorCode } from '../../kernel/error-table.ts';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { SandboxSpec } from '../../sandbox-providers/contract/index.ts';
import { type Attachment, attach, type AttachOptions } from './attachment.ts';

/** A sandbox that runs but whose guest does not answer for this long is stopped. */
const unresponsiveAfterMs = 60_000;
/** How long a caller who needs a sandbox waits while it is unknown whether the old one still lives. */
const uncertaintyLimitMs = 30_000;
/**
 * A guest that broke the contract, or that obeys someone else: only one control plane can hold the store that gives out
 * leases, so a higher one was made up inside the sandbox.
 */
const beyondRepair: ReadonlySet<ErrorCode> = new Set(['GUEST_PROTOCOL', 'STALE_LEASE']);
const firstBackoffMs = 50;
const longestBackoffMs = 5_000;

export interface TetherOptions extends AttachOptions {
  readonly specOf: (agent: Agent) => SandboxSpec;
}

/**
 * What ties the control plane to one agent's sandbox. It is in one of these modes:
 *
 * - `detached`: nothing is attached and nothing is tried.
 * - `working`: a sandbox is brought up, or one that should be running is looked for. Everyone who asks joins in.
 * - `attached`: the guest can be driven. When the wire breaks, `working` follows by itself.
 * - `closed`: the agent or the control plane is going. Final.
 */
export class Tether {
  readonly #options: TetherOptions;
  readonly #agentId: AgentId;
  #mode:
    | { readonly name: 'detached' | 'closed' }
    | {
        readonly name: 'working';
        readonly purpose: 'bring-up' | 'reattach';
        readonly done: Promise<Guest | undefined>;
        readonly abort: AbortController;
      }
    | { readonly name: 'attached'; readonly attachment: Attachment } = { name: 'detached' };

  constructor(options: TetherOptions) {
    this.#options = options;
    this.#agentId = options.agentId;
  }

  get guest(): Guest | undefined {
    return this.#mode.name === 'attached' ? this.#mode.attachment.guest : undefined;
  }

  /** Brings the sandbox up where needed. Rejects with what kept it from starting. */
  async ensure(agent: Agent): Promise<Guest> {
    for (;;) {
      switch (this.#mode.name) {
        case 'attached':
          return this.#mode.attachment.guest;
        case 'closed':
          throw this.#closedError();
        case 'working': {
          const { purpose, done } = this.#mode;
          using limit = deadline(uncertaintyLimitMs, `Finding the sandbox of ${this.#agentId}`);
          const guest = await (purpose === 'bring-up' ? done : orAbort(done, limit.signal));
          if (guest !== undefined) return guest;
          break;
        }
        case 'detached':
          this.#work('bring-up', (signal) => this.#bringUp(agent, signal));
      }
    }
  }

  /** Attaches to a sandbox that is running; undefined when there is none. */
  async reattach(): Promise<Guest | undefined> {
    if (this.#mode.name === 'detached') this.#work('reattach', (signal) => this.#findAgain(signal));
    switch (this.#mode.name) {
      case 'attached':
        return this.#mode.attachment.guest;
      case 'closed':
        throw this.#closedError();
      case 'working':
        return await this.#mode.done;
      case 'detached':
        return undefined;
    }
  }

  /** Ends the sandbox's processes. What was under way is over, even when the provider cannot be reached to confirm it. */
  async stop(reason: string): Promise<void> {
    const { provider, observer } = this.#options;
    await this.#detach('detached');
    try {
      await provider.stop(this.#agentId);
    } finally {
      await observer.sandboxLost(this.#agentId, reason);
    }
  }

  /** Lets go of the sandbox, which goes on. Nothing can be asked of this tether any more. */
  async close(): Promise<void> {
    await this.#detach('closed');
  }

  #work(purpose: 'bring-up' | 'reattach', task: (signal: AbortSignal) => Promise<Attachment | undefined>): void {
    const abort = new AbortController();
    const work = async (): Promise<Guest | undefined> => {
      try {
        return await this.#settle(abort, await task(abort.signal));
      } catch (thrown) {
        if (this.#isWorkingOn(abort)) this.#mode = { name: 'detached' };
        throw thrown;
      }
    };
    const done = Promise.resolve().then(work);
    done.catch(() => undefined); // everyone who asked has the error
    this.#mode = { name: 'working', purpose, done, abort };
  }

  async #settle(abort: AbortController, attachment: Attachment | undefined): Promise<Guest | undefined> {
    if (!this.#isWorkingOn(abort)) {
      await attachment?.close();
      throw this.#closedError();
    }
    this.#mode = attachment === undefined ? { name: 'detached' } : { name: 'attached', attachment };
    if (attachment !== undefined) void this.#watch(attachment);
    return attachment?.guest;
  }

  /** Takes up a broken wire again by itself. */
  async #watch(attachment: Attachment): Promise<void> {
    const reason = await attachment.closed;
    if (this.#mode.name !== 'attached' || this.#mode.attachment !== attachment) return;
    const { logger } = this.#options;
    this.#mode = { name: 'detached' };
    if (beyondRepair.has(reason.code)) {
      logger.error(
        { agentId: this.#agentId, err: reason },
        'the guest broke the contract or obeys someone else; its sandbox is stopped',
      );
      await this.stop(reason.message).catch((error: unknown) => {
        logger.error({ agentId: this.#agentId, err: error }, 'the sandbox could not be stopped');
      });
      return;
    }
    logger.warn(
      { agentId: this.#agentId, code: reason.code, err: reason.cause ?? reason },
      'the wire broke; attaching again',
    );
    await this.reattach().catch((error: unknown) => {
      logger.warn({ agentId: this.#agentId, err: error }, 'attaching again was given up');
    });
  }

  async #bringUp(agent: Agent, signal: AbortSignal): Promise<Attachment> {
    const { provider, observer, specOf } = this.#options;
    if (!(await observer.sandboxStarting(this.#agentId))) {
      throw new CaissonError('AGENT_DELETING', `Agent ${this.#agentId} is being deleted.`);
    }
    try {
      // A sandbox that runs is not touched: a turn may be under way in it, and a newer image can wait for its next start.
      const present = await provider.find(this.#agentId);
      if (present?.state !== 'running') await provider.ensureRunning(specOf(agent), signal);
      try {
        return await attach(this.#options, signal);
      } catch (thrown) {
        // A guest that cannot be attached to right after its start would not be better off the next time.
        if (!signal.aborted) await provider.stop(this.#agentId);
        throw thrown;
      }
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const { code, message } = toCaissonError(thrown);
      await observer.sandboxFailed(this.#agentId, { code, message });
      throw thrown;
    }
  }

  /** Looks for the sandbox until it is attached, or known to be gone. */
  async #findAgain(signal: AbortSignal): Promise<Attachment | undefined> {
    const { provider, observer, logger, clock } = this.#options;
    let unansweredSince: number | undefined;
    for (let backoffMs = firstBackoffMs; ; backoffMs = Math.min(backoffMs * 2, longestBackoffMs)) {
      try {
        const sandbox = await provider.find(this.#agentId);
        if (sandbox === undefined || sandbox.state === 'stopped' || sandbox.state === 'broken') {
          await observer.sandboxLost(this.#agentId, 'The sandbox is not running.');
          return undefined;
        }
        unansweredSince ??= clock.now();
        if (sandbox.state === 'paused') await provider.resume(this.#agentId);
        return await attach(this.#options, signal);
      } catch (thrown) {
        signal.throwIfAborted();
        const error = toCaissonError(thrown);
        logger.debug({ agentId: this.#agentId, code: error.code, err: error.cause ?? error }, 'not attached yet');
        const silentMs = unansweredSince === undefined ? 0 : clock.now() - unansweredSince;
        if (error.code === 'PROVIDER_UNAVAILABLE') unansweredSince = undefined;
        else if (error.code === 'AGENT_NOT_FOUND') throw error;
        else if (beyondRepair.has(error.code) || silentMs > unresponsiveAfterMs) {
          logger.error({ agentId: this.#agentId, err: error }, 'the guest does not answer; its sandbox is stopped');
          await provider.stop(this.#agentId);
          await observer.sandboxLost(this.#agentId, `The guest did not answer: ${error.message}`);
          return undefined;
        }
      }
      await this.#pause(backoffMs, signal);
    }
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.schedule(ms, resolve);
    try {
      await orAbort(promise, signal);
    } finally {
      cancel();
    }
  }

  #isWorkingOn(abort: AbortController): boolean {
    return this.#mode.name === 'working' && this.#mode.abort === abort;
  }

  async #detach(next: 'detached' | 'closed'): Promise<void> {
    const mode = this.#mode;
    if (mode.name === 'closed') return;
    this.#mode = { name: next };
    if (mode.name === 'attached') await mode.attachment.close();
    if (mode.name === 'working') {
      // What is at work closes what it opened; it is waited for, so that nothing is left behind.
      mode.abort.abort(this.#closedError());
      await mode.done.catch(() => undefined);
    }
  }

  #closedError(): CaissonError {
    return new CaissonError('ABORTED', `The control plane has let go of the sandbox of ${this.#agentId}.`);
  }
}
