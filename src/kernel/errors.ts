import { type ErrorCode, errorTable, isErrorCode } from './error-table.ts';

interface ErrorOptions {
  /** What the caller can do. Default: the hint of the code's row. */
  readonly hint?: string;
  /** JSON data for programs, e.g. `{ limit, used }`. Never a secret. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The one error class: what happened, to what, and what the caller can do. */
export class CaissonError extends Error {
  override readonly name = 'CaissonError';
  readonly code: ErrorCode;
  readonly hint: string;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? errorTable[code].hint;
    this.retryable = errorTable[code].retryable;
    this.details = options.details ?? {};
  }

  /** The form that crosses a process boundary: no stack, no cause. */
  toJSON(): ErrorBody {
    return {
      code: this.code,
      message: this.message,
      hint: this.hint,
      retryable: this.retryable,
      details: this.details,
    };
  }
}

/** An error as JSON, on the wire and in the API. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly retryable: boolean;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Reads an error that another process sent. Anything else becomes undefined. */
export function readErrorBody(value: unknown): CaissonError | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { code, message, hint, details } = value as Record<string, unknown>;
  if (!isErrorCode(code) || typeof message !== 'string') return undefined;
  return new CaissonError(code, message, {
    ...(typeof hint === 'string' ? { hint } : {}),
    ...(typeof details === 'object' && details !== null ? { details: { ...details } } : {}),
  });
}

/** Whatever was thrown, as a CaissonError. What is not ours becomes INTERNAL, with the original as its cause. */
export function toCaissonError(thrown: unknown): CaissonError {
  if (thrown instanceof CaissonError) return thrown;
  return new CaissonError('INTERNAL', 'Something went wrong inside Caisson.', { cause: thrown });
}

/** The text of whatever was thrown, for logs. */
export function errorText(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
