import { CaissonError } from '../../kernel/errors.ts';
import type { RunId } from '../../kernel/ids.ts';
import type { WaitOutcome } from './schemas/run.ts';
import type { ApiServices } from './services.ts';

interface Wait {
  readonly runId: RunId;
  /** 0 looks once. */
  readonly timeoutMs: number;
  /** Aborts when the caller leaves. */
  readonly signal: AbortSignal | undefined;
}

/** Waits for the end of a run. The end of the wait never ends the run. Rejects with DRAINING or ABORTED. */
export async function waitForRun({ domain, draining }: ApiServices, wait: Wait): Promise<WaitOutcome> {
  const { runId, timeoutMs, signal } = wait;
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), timeoutMs);
  if (timeoutMs === 0) over.abort();
  try {
    const signals = [over.signal, draining, ...(signal === undefined ? [] : [signal])];
    const run = await domain.runs.wait(runId, AbortSignal.any(signals));
    if (run === undefined) {
      draining.throwIfAborted();
      if (signal?.aborted === true) throw new CaissonError('ABORTED', 'The caller left before the run was over.');
      return { status: 'timeout', runId };
    }
    const { startedAt, endedAt } = run;
    if (run.state === 'completed') return { status: 'ok', runId, startedAt, endedAt, run, error: null };
    const { state, message } = run;
    return { status: 'error', runId, startedAt, endedAt, run, error: { state, reason: run.reason ?? state, message } };
  } finally {
    clearTimeout(timer);
  }
}
