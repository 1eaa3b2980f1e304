import type { RunId } from '../kernel/ids.ts';
import type { EventData } from './event.ts';
import type { Record } from './event-log.ts';
import type { AgentTransaction } from './ports.ts';
import { canMove, isTerminal, type Run, type RunEnd, runReasons } from './run.ts';

/**
 * Ends a run in this transaction, with its one terminal event. A run that is already over stays as it is.
 * Returns whether this call ended it.
 */
export async function endRun(
  scope: { readonly tx: AgentTransaction; readonly record: Record; readonly at: number },
  run: Run,
  end: RunEnd,
  usage: Run['usage'] = null,
): Promise<boolean> {
  if (isTerminal(run.state) || !canMove(run.state, end.state)) return false;
  const moved = await scope.tx.moveRun(run.id, run.state, { ...end, endedAt: scope.at, usage });
  if (!moved) return false;
  scope.record({
    conversationId: run.conversationId,
    runId: run.id,
    at: scope.at,
    data: endEvent(end, usage),
  });
  return true;
}

function endEvent(end: RunEnd, usage: Run['usage']): EventData {
  const { message } = end;
  switch (end.state) {
    case 'completed':
      return { type: 'run.completed', reason: end.reason, message, usage };
    case 'failed':
      return { type: 'run.failed', reason: end.reason, message };
    case 'canceled':
      return { type: 'run.canceled', reason: end.reason, message };
    case 'timed_out':
      return { type: 'run.timed_out', reason: end.reason, message };
    case 'interrupted':
      return { type: 'run.interrupted', reason: end.reason, message };
    case 'rejected':
      return { type: 'run.rejected', reason: end.reason, message };
  }
}

const endEvents: ReadonlySet<string> = new Set(Object.keys(runReasons).map((state) => `run.${state}`));

/** Whether this event ends its run. */
export function endsRun<Event extends { readonly type: string; readonly runId: RunId | null }>(
  event: Event,
): event is Event & { readonly runId: RunId } {
  return event.runId !== null && endEvents.has(event.type);
}
