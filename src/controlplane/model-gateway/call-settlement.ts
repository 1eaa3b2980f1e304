import type { CallMeter } from './call-meter.ts';
import type { CallOutcome } from './call-record.ts';
import type { UsageReader } from './usage-reader.ts';

/** What is known of a call that is over. */
interface EndedCallFacts {
  readonly outcome: CallOutcome;
  /** Null where the service had not begun to answer. */
  readonly status: number | null;
  /** Whether the service had the whole request. */
  readonly isAsked: boolean;
  /** Undefined where nothing of the answer was read. */
  readonly usage: UsageReader | undefined;
  readonly responseBytes: number;
  /** Tokens that the model may have written unseen (`UnseenOutput`). */
  readonly unseen: number;
}

/**
 * Settles a call with its budget: by what the service told; where it did not tell all, by an estimate. Whoever breaks an
 * answer off also pays for what the model may have written unseen; nobody pays for a service that refused or failed. What it is
 * counted as is known when this returns (`meter.charge`), and in the budget when it resolves.
 */
export async function settleCall(meter: CallMeter, facts: EndedCallFacts): Promise<void> {
  const { outcome, status, isAsked, usage, responseBytes } = facts;
  const isBrokenOff = outcome === 'guest_left' || outcome === 'guest_stalled';
  if (usage === undefined || status === null) {
    // The service may have been at work for a guest that would not wait for it.
    return outcome === 'guest_left' && isAsked ? await meter.settleUnseen(facts.unseen) : await meter.release();
  }
  if (status >= 400) return await meter.release();
  const unseen = isBrokenOff && usage.ending === undefined ? facts.unseen : 0;
  if (usage.tokens !== null) {
    const counts = { ...usage.tokens, output: usage.tokens.output + unseen };
    return await meter.settle(counts, { isEstimated: unseen > 0 || !usage.isToldWhole });
  }
  if (outcome === 'guest_left' && usage.outputEstimate === 0) return await meter.settleUnseen(unseen);
  if (usage.ending === 'failed' && usage.outputEstimate === 0) return await meter.release();
  await meter.settleByEstimate((usage.outputEstimate || Math.ceil(responseBytes / 4)) + unseen);
}
