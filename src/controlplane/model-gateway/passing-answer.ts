import type { IncomingMessage } from 'node:http';
import type { ModelApi } from './apis/model-api.ts';
import type { BudgetSpent } from './budget.ts';
import type { CallMeter } from './call-meter.ts';
import type { CallTimer } from './call-timer.ts';
import { quotaError } from './gateway-error.ts';
import type { GuestAnswer } from './guest-answer.ts';
import type { UnseenOutput } from './unseen-output.ts';
import type { UpstreamRequest } from './upstream-request.ts';
import { UsageReader } from './usage-reader.ts';

/** How long the event that is under way when the budget is spent may take to end. */
const lastEventMs = 200;

interface PassingAnswerOptions {
  readonly api: ModelApi;
  readonly request: UpstreamRequest;
  readonly response: IncomingMessage;
  readonly guest: GuestAnswer;
  /** Undefined for a call that costs nothing. */
  readonly meter: CallMeter | undefined;
  readonly unseen: UnseenOutput;
  readonly timer: CallTimer;
  /** Longest silence of the service, and longest time that the guest may take nothing. Milliseconds. */
  readonly idleTimeoutMs: number;
  readonly onFailure: (outcome: 'upstream_timeout' | 'upstream_cut' | 'guest_stalled', cause?: string) => void;
  /** The budget is spent: the event that was under way did not end in time. */
  readonly onSpent: () => void;
}

/**
 * The service's answer on its way to the guest, at the guest's pace: nothing is read while the guest does not take it, or while room
 * in the budget is waited for. Counted as it passes; where the budget is spent it ends behind its last whole event.
 */
export class PassingAnswer {
  readonly usage: UsageReader;
  readonly #options: PassingAnswerOptions;
  #spent: BudgetSpent | undefined;
  /** What it is paused for. */
  #waits = 0;
  #bytes = 0;

  constructor(options: PassingAnswerOptions) {
    this.#options = options;
    const { api, response, guest, onFailure } = options;
    this.usage = new UsageReader(api, response.headers['content-type']);
    this.#awaitMore();
    response.on('data', (chunk: Buffer) => this.#pass(chunk));
    response.once('end', () => {
      if (guest.isEnding) return;
      this.usage.end();
      guest.end('answered');
    });
    response.on('error', (error) => onFailure('upstream_cut', 'code' in error ? String(error.code) : error.name));
  }

  /** That have come from the service. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The answer ends with the event that is under way, and an error that says why. */
  stopAtBudget(error: BudgetSpent): void {
    if (this.#options.guest.isEnding || this.usage.ending !== undefined) return; // all was said meanwhile
    this.#spent = error;
    if (this.usage.isBetweenEvents) this.#sayBudgetIsSpent(error);
    else this.#options.timer.arm(lastEventMs, this.#options.onSpent);
  }

  #pass(chunk: Buffer): void {
    const { guest, meter, unseen, timer } = this.#options;
    if (guest.isEnding) return;
    const { usage } = this;
    this.#bytes += chunk.length;
    usage.read(chunk);
    if (this.#spent !== undefined && usage.eventEnd !== -1) {
      guest.say(chunk.subarray(0, usage.eventEnd));
      this.#sayBudgetIsSpent(this.#spent);
      return;
    }
    unseen.saw(usage.outputEstimate);
    const room = usage.ending === undefined ? meter?.saw(usage.outputEstimate) : undefined;
    const isTaken = guest.say(chunk);
    if (isTaken && this.#spent === undefined) timer.refresh();
    if (!isTaken) this.#waitForGuest();
    if (room !== undefined) this.#pauseUntil(room);
  }

  #waitForGuest(): void {
    const { guest, timer, idleTimeoutMs, onFailure } = this.#options;
    if (this.#spent === undefined) timer.arm(idleTimeoutMs, () => onFailure('guest_stalled'));
    const { promise: taken, resolve } = Promise.withResolvers<void>();
    guest.onTaken(() => {
      if (!guest.isOver) this.#awaitMore();
      resolve();
    });
    this.#pauseUntil(taken);
  }

  /** Nothing is read until it resolves, and what else is waited for. */
  #pauseUntil(resolved: Promise<void>): void {
    const { response, guest } = this.#options;
    response.pause();
    this.#waits += 1;
    void resolved.then(() => {
      this.#waits -= 1;
      if (this.#waits === 0 && !guest.isOver) response.resume();
    });
  }

  #awaitMore(): void {
    const { timer, idleTimeoutMs, guest, onFailure } = this.#options;
    if (this.#spent !== undefined || guest.ending !== undefined) return; // the time of its last event runs
    timer.arm(idleTimeoutMs, () => onFailure('upstream_timeout', 'idle'));
  }

  #sayBudgetIsSpent(error: BudgetSpent): void {
    const { api, guest, request } = this.#options;
    guest.end('budget_spent', api.failureEvent(quotaError(error)));
    request.destroy();
  }
}
