import { deadline, orAbort } from '../../kernel/deadline.ts';
import { CaissonError, errorText } from '../../kernel/errors.ts';

/** The engine answered, with an HTTP status that is not success. */
export class EngineRefusal extends Error {
  override readonly name = 'EngineRefusal';
  readonly status: number;

  constructor(status: number, message: string, cause: unknown) {
    super(message, { cause });
    this.status = status;
  }
}

interface EngineCall<T> {
  /** What is done, as a subject: "Creating the container". */
  readonly what: string;
  readonly timeoutMs: number;
  /** Ends the waiting early; its reason is thrown. Only for calls that change nothing, or whose changes are undone. */
  readonly signal?: AbortSignal | undefined;
  readonly request: (abortSignal: AbortSignal) => Promise<T>;
}

/**
 * One request to the engine, bounded in time. Rejects with an EngineRefusal when the engine answered with an error,
 * and with PROVIDER_UNAVAILABLE when no answer came: refused, broken off or too late.
 */
export async function engineCall<T>({ what, timeoutMs, signal, request }: EngineCall<T>): Promise<T> {
  using limit = deadline(timeoutMs, what, signal);
  try {
    return await orAbort(request(limit.signal), limit.signal);
  } catch (thrown) {
    signal?.throwIfAborted();
    const status = refusalStatus(thrown);
    if (status !== undefined) throw new EngineRefusal(status, refusalText(thrown), thrown);
    throw new CaissonError('PROVIDER_UNAVAILABLE', `${what} failed: the Docker engine did not answer.`, {
      cause: limit.signal.aborted ? limit.signal.reason : thrown,
      details: errnoDetails(thrown),
    });
  }
}

/** `work`, or undefined when the engine answers with one of the `expected` statuses. */
export async function unlessRefused<T>(work: Promise<T>, ...expected: readonly number[]): Promise<T | undefined> {
  try {
    return await work;
  } catch (thrown) {
    if (thrown instanceof EngineRefusal && expected.includes(thrown.status)) return undefined;
    throw thrown;
  }
}

function refusalStatus(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('statusCode' in thrown)) return undefined;
  return typeof thrown.statusCode === 'number' ? thrown.statusCode : undefined;
}

/** The engine's own words, without what the client library puts around them. */
function refusalText(thrown: unknown): string {
  if (thrown instanceof Error && 'json' in thrown && typeof thrown.json === 'object' && thrown.json !== null) {
    if ('message' in thrown.json && typeof thrown.json.message === 'string') return thrown.json.message;
  }
  return errorText(thrown);
}

function errnoDetails(thrown: unknown): Readonly<Record<string, string>> {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? { errno: thrown.code } : {};
}
