import { CaissonError } from './errors.ts';

/** A signal that aborts after a time, or with its parent, and takes its timer with it when disposed. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
}

/** `what` is named in the error: "<what> took longer than 30 s". */
export function deadline(timeoutMs: number, what: string, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  const follow = (): void => controller.abort(parent?.reason);
  if (parent?.aborted) follow();
  else parent?.addEventListener('abort', follow, { once: true });
  const timer = setTimeout(() => {
    controller.abort(new CaissonError('DEADLINE_EXCEEDED', `${what} took longer than ${timeoutMs / 1000} s.`));
  }, timeoutMs);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      parent?.removeEventListener('abort', follow);
    },
  };
}

/** Settles with `work`, or rejects with the signal's reason, whichever is first. `work` itself goes on. */
export async function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    work.catch(() => undefined); // its outcome no longer has a reader
    throw signal.reason;
  }
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** Aborts with either of the two. */
export function anyOf(signal: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  return signal === undefined ? other : AbortSignal.any([signal, other]);
}
