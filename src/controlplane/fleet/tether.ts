import type { Agent } from '../../agents/agent.ts';
import type { ErrorCode } from '../../kernel/error-table.ts';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import { pause } from '../../kernel/pause.ts';
import type { SandboxSpec, StopOptions } from '../../sandbox-providers/contract/index.ts';
import { type Attachment, attach, type AttachOptions } from './attachment.ts';
import { Doubt } from './doubt.ts';
import { howItEnded } from './how-it-ended.ts';
import { NowAndThen } from './now-and-then.ts';

/** A sandbox that runs but whose guest does not answer for this long is stopped. */
const unresponsiveAfterMs = 60_000;
const unresponsive = `The sandbox did not answer for ${unresponsiveAfterMs / 1_000} s, and was stopped.`;
/**
 * A guest that broke the contract, that refuses what the contract allows, or that obeys someone else: only one control plane
 * can hold the store that gives out leases, so a higher one was made up inside the sandbox.
 */
const beyondRepair: ReadonlySet<ErrorCode> = new Set(['GUEST_PROTOCOL', 'STALE_LEASE', 'BAD_REQUEST']);
const beyondRepairText = 'the guest cannot be driven any more; its sandbox is stopped';
/** What says that a guest does not answer. Anything else is not the guest's fault. */
const silence: ReadonlySet<ErrorCode> = new Set(['WIRE_LOST', 'DEADLINE_EXCEEDED', 'SANDBOX_NOT_RUNNING']);
/** A wire that held for less counts as one more failure, however well it began. */
const steadyAfterMs = 5_000;
/** A guest can break its wire as often as it likes, and an engine be gone for hours: one line in this time warns of it. */
const warnEveryMs = 60_000;
/** From the first byte to a guest that can be driven: one that has just been started, and one that was there before. */
const attachTimeoutMs = 30_000;
const reattachTimeoutMs = 10_000;
const firstBackoffMs = 50;
const longestBackoffMs = 5_000;

export interface TetherOptions extends AttachOptions {
  readonly specOf: (agent: Agent) => SandboxSpec;
  /** Called each time that a wire breaks by itself. Default: nobody counts. */
  readonly onWireBroken?: ((code: ErrorCode) => void) | undefined;
}

interface Working {
  readonly name: 'working';
  readonly done: Promise<Attachment | undefined>;
  /** Undefined while a sandbox is brought up, whose steps have bounds of their own. */
  readonly doubt: Doubt | undefined;
  readonly abort: AbortController;
}

type Mode =
  | { readonly name: 'detached' | 'closed' }
  | Working
  | { readonly name: 'attached'; readonly attachment: Attachment; readonly since: number }
  | { readonly name: 'stopping'; readonly done: Promise<void> };

/**
 * What ties the control plane to one agent's sandbox. It is in one of these modes:
 *
 * - `detached`: nothing is attached and nothing is tried.
 * - `working`: a sandbox is brought up, or one that should be running is looked for. Everyone who asks joins in.
 * - `attached`: the guest can be driven. When the wire breaks, `working` follows by itself.
 * - `stopping`: the sandbox is being stopped, or removed. Whoever needs one waits, and then brings up a new one.
 * - `closed`: the agent or the control plane is going. Final.
 */
export class Tether {
  readonly #options: TetherOptions;
  readonly #agentId: AgentId;
  #mode: Mode = { name: 'detached' };
  /** Wires in a row that did not hold. */
  #unsteady = 0;
  /** Breaks since the last warning of one. */
  #breaks = 0;
  readonly #breakWarnings: NowAndThen;
  /** By what is at fault: at most one for each code of the table. */
  readonly #faultWarnings = new Map<ErrorCode, NowAndThen>();

  constructor(options: TetherOptions) {
    this.#options = options;
    this.#agentId = options.agentId;
    this.#breakWarnings = new NowAndThen(options.clock, warnEveryMs);
  }

  /** The wire to the guest, unless it is known to be broken. */
  get attachment(): Attachment | undefined {
    return this.#mode.name === 'attached' && this.#mode.attachment.isOpen ? this.#mode.attachment : undefined;
  }

  /**
   * Brings the sandbox up where needed. Rejects with what kept it from starting, or keeps it unknown whether the old one
   * still lives.
   */
  async ensure(agent: Agent): Promise<Attachment> {
    for (;;) {
      const mode = this.#mode;
      switch (mode.name) {
        case 'attached':
          if (mode.attachment.isOpen) return mode.attachment;
          await mode.attachment.closed;
          break;
        case 'closed':
          throw this.#closedError();
        case 'stopping':
          await mode.done.catch(() => undefined); // whoever asked for the stop has the error
          break;
        case 'working': {
          const attachment = await boundedOutcome(mode);
          if (attachment !== undefined) return attachment;
          break;
        }
        case 'detached':
          this.#work(undefined, (signal) => this.#bringUp(agent, signal));
      }
    }
  }

  /** Attaches to a sandbox that is running; undefined when there is none. Waits for as long as it takes to know. */
  reattach(): Promise<Attachment | undefined> {
    return this.#present(({ done }) => done);
  }

  /** The same for those who cannot wait for ever: rejects with what keeps it from being known (see `Doubt`). */
  find(): Promise<Attachment | undefined> {
    return this.#present(boundedOutcome);
  }

  async #present(outcomeOf: (mode: Working) => Promise<Attachment | undefined>): Promise<Attachment | undefined> {
    for (;;) {
      const mode = this.#mode;
      switch (mode.name) {
        case 'attached':
          if (mode.attachment.isOpen) return mode.attachment;
          await mode.attachment.closed;
          break;
        case 'closed':
          throw this.#closedError();
        case 'stopping':
          await mode.done.catch(() => undefined); // whoever asked for the stop has the error
          break;
        case 'working':
          return await outcomeOf(mode);
        case 'detached': {
          const doubt = new Doubt(this.#options.clock);
          this.#work(doubt, (signal) => this.#findAgain(signal, doubt));
        }
      }
    }
  }

  /** Ends the sandbox's processes. What was under way is over, even when the provider cannot be reached to confirm it. */
  stop(reason: string, options?: StopOptions): Promise<void> {
    if (this.#mode.name === 'stopping') return this.#mode.done;
    return this.#end(reason, () => this.#options.provider.stop(this.#agentId, options));
  }

  /** As `stop`, and removes the sandbox with its files. Whoever needs one waits, and then gets a new and empty one. */
  async remove(reason: string): Promise<void> {
    // Whoever asked for the stop has the error.
    while (this.#mode.name === 'stopping') await this.#mode.done.catch(() => undefined);
    await this.#end(reason, () => this.#options.provider.destroy(this.#agentId));
  }

  /** Lets go of the sandbox, which goes on. Nothing can be asked of this tether any more. */
  async close(): Promise<void> {
    const before = this.#mode;
    this.#mode = { name: 'closed' };
    await this.#letGo(before);
  }

  #end(reason: string, work: () => Promise<void>): Promise<void> {
    const before = this.#mode;
    if (before.name === 'closed') return Promise.resolve();
    const done = this.#endSandbox(before, reason, work).finally(() => {
      if (this.#mode === stopping) this.#mode = { name: 'detached' };
    });
    const stopping = { name: 'stopping', done } as const;
    this.#mode = stopping;
    return done;
  }

  async #endSandbox(before: Mode, reason: string, work: () => Promise<void>): Promise<void> {
    const { observer } = this.#options;
    await this.#letGo(before);
    try {
      await work();
    } finally {
      await observer.sandboxLost(this.#agentId, reason);
    }
  }

  /** Ends what a mode holds, and waits for that: nothing is left behind. */
  async #letGo(mode: Mode): Promise<void> {
    switch (mode.name) {
      case 'attached':
        await mode.attachment.close();
        return;
      case 'working':
        mode.abort.abort(this.#closedError());
        await mode.done.catch(() => undefined); // everyone who asked has the error
        return;
      case 'stopping':
        await mode.done.catch(() => undefined); // whoever asked for the stop has the error
        return;
      case 'detached':
      case 'closed':
    }
  }

  #work(doubt: Doubt | undefined, task: (signal: AbortSignal) => Promise<Attachment | undefined>): void {
    const abort = new AbortController();
    const work = async (): Promise<Attachment | undefined> => {
      try {
        return await this.#settle(abort, await task(abort.signal));
      } catch (thrown) {
        if (this.#isWorkingOn(abort)) this.#mode = { name: 'detached' };
        throw thrown;
      }
    };
    const done = Promise.resolve().then(work);
    done.catch(() => undefined); // everyone who asked has the error
    this.#mode = { name: 'working', done, doubt, abort };
  }

  async #settle(abort: AbortController, attachment: Attachment | undefined): Promise<Attachment | undefined> {
    if (!this.#isWorkingOn(abort)) {
      await attachment?.close();
      throw this.#closedError();
    }
    if (attachment === undefined) {
      this.#mode = { name: 'detached' };
      return undefined;
    }
    const since = this.#options.clock.elapsed();
    this.#mode = { name: 'attached', attachment, since };
    void this.#watch(attachment, since);
    return attachment;
  }

  /** Takes up a broken wire again by itself. */
  async #watch(attachment: Attachment, since: number): Promise<void> {
    const reason = await attachment.closed;
    if (this.#mode.name !== 'attached' || this.#mode.attachment !== attachment) return;
    const { logger, clock } = this.#options;
    const agentId = this.#agentId;
    this.#mode = { name: 'detached' };
    if (beyondRepair.has(reason.code)) {
      logger.error({ agentId, err: reason }, beyondRepairText);
      await this.stop(reason.message).catch((error: unknown) => {
        logger.error({ agentId, err: error }, 'the sandbox could not be stopped');
      });
      return;
    }
    this.#options.onWireBroken?.(reason.code);
    this.#unsteady = clock.elapsed() - since < steadyAfterMs ? this.#unsteady + 1 : 0;
    this.#tellBreak(reason);
    await this.reattach().catch((error: unknown) => {
      logger.warn({ agentId, err: error }, 'attaching again was given up');
    });
  }

  #tellBreak(reason: CaissonError): void {
    const { logger } = this.#options;
    this.#breaks++;
    const { code, message, cause } = reason;
    const fields = { agentId: this.#agentId, code, reason: message, breaks: this.#breaks, err: cause ?? reason };
    const isDue = this.#breakWarnings.isDue();
    logger[isDue ? 'warn' : 'debug'](fields, 'the wire broke; attaching again');
    if (isDue) this.#breaks = 0;
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
        return await attach(this.#options, { signal, timeoutMs: attachTimeoutMs });
      } catch (thrown) {
        // A guest that cannot be attached to right after its start would not be better off the next time.
        if (!signal.aborted) await this.#stopUnattached();
        throw thrown;
      }
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const { code, message } = toCaissonError(thrown);
      await observer.sandboxFailed(this.#agentId, { code, message });
      throw thrown;
    }
  }

  async #stopUnattached(): Promise<void> {
    const { provider, logger } = this.#options;
    try {
      await provider.stop(this.#agentId);
    } catch (thrown) {
      logger.error({ agentId: this.#agentId, err: thrown }, 'a sandbox that does not answer could not be stopped');
    }
  }

  /** Looks for the sandbox until it is attached, or known to be gone. */
  async #findAgain(signal: AbortSignal, doubt: Doubt): Promise<Attachment | undefined> {
    const { provider, observer, clock } = this.#options;
    const agentId = this.#agentId;
    let unansweredSince: number | undefined = clock.elapsed();
    let stoppedFor: string | undefined;
    let backoffMs = Math.min(firstBackoffMs * 2 ** this.#unsteady, longestBackoffMs);
    if (this.#unsteady > 1) await pause(clock, backoffMs, signal);
    for (; ; backoffMs = Math.min(backoffMs * 2, longestBackoffMs)) {
      const since = clock.elapsed();
      try {
        const sandbox = await provider.find(agentId);
        if (sandbox === undefined || sandbox.state === 'stopped' || sandbox.state === 'broken') {
          await observer.sandboxLost(agentId, stoppedFor ?? howItEnded(sandbox));
          return undefined;
        }
        if (sandbox.state === 'paused') await provider.resume(agentId);
        return await attach(this.#options, { signal, timeoutMs: reattachTimeoutMs });
      } catch (thrown) {
        signal.throwIfAborted();
        const error = toCaissonError(thrown);
        if (error.code === 'AGENT_NOT_FOUND') throw error;
        const now = clock.elapsed();
        const isSilent = silence.has(error.code);
        unansweredSince = isSilent ? (unansweredSince ?? now) : undefined;
        const silentMs = now - (unansweredSince ?? now);
        doubt.grow(error, { isFault: !isSilent, since });
        const isBeyondRepair = beyondRepair.has(error.code);
        const isLost = isBeyondRepair || silentMs > unresponsiveAfterMs;
        this.#tellFailure(error, { isSilent, isLost });
        if (isLost) {
          // Stopped, it is found stopped the next time round, also when this cannot be stored just now.
          stoppedFor = isBeyondRepair ? `The sandbox was stopped: ${error.message}` : unresponsive;
          await this.#stopUnattached();
        }
      }
      await doubt.rest(backoffMs, signal);
    }
  }

  #tellFailure(
    error: CaissonError,
    { isLost, isSilent }: { readonly isLost: boolean; readonly isSilent: boolean },
  ): void {
    const { logger, clock } = this.#options;
    const warnings = this.#faultWarnings.get(error.code) ?? new NowAndThen(clock, warnEveryMs);
    if (!isSilent) this.#faultWarnings.set(error.code, warnings);
    const fields = { agentId: this.#agentId, code: error.code, err: error.cause ?? error };
    if (isLost && isSilent) logger.error(fields, 'the guest does not answer; its sandbox is stopped');
    else if (isLost) logger.error(fields, beyondRepairText);
    else if (!isSilent && warnings.isDue())
      logger.warn(fields, 'it is not known whether the sandbox lives; looking again');
    else logger.debug(fields, 'not attached yet');
  }

  #isWorkingOn(abort: AbortController): boolean {
    return this.#mode.name === 'working' && this.#mode.abort === abort;
  }

  #closedError(): CaissonError {
    return new CaissonError('ABORTED', `The control plane has let go of the sandbox of ${this.#agentId}.`);
  }
}

function boundedOutcome({ done, doubt }: Working): Promise<Attachment | undefined> {
  return doubt === undefined ? done : doubt.endure(done);
}
