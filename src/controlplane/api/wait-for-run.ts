import type { RunId } from '../../kernel/ids.ts';
import type { WaitOutcome } from './schemas/run.ts';
import type { ApiServices } from './services.ts';

interface Wait {
  readonly runId: RunId;
  /** 0 looks once. */
  readonly timeoutMs: number;
  /** Aborts when the caller leaves, or its key is revoked. */
  readonly signal: AbortSignal | undefined;
}

/** Waits for the end of a run. The end of the wait never ends the run. Rejects with DRAINING, or the signal's reason. */
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
      signal?.throwIfAborted();
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
