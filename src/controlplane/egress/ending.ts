import type { ErrorCode } from '../../kernel/error-table.ts';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import type { EgressOutcome } from './ports.ts';

/** How a connection ends that does not just end: what its record says, and the error that its program may be told. */
export class Ending extends Error {
  readonly outcome: EgressOutcome;
  readonly error: CaissonError;

  constructor(outcome: EgressOutcome, error: CaissonError) {
    super(error.message, { cause: error });
    this.outcome = outcome;
    this.error = error;
  }
}

const outcomes: Partial<Record<ErrorCode, EgressOutcome>> = {
  EGRESS_DENIED: 'denied',
  EGRESS_REFUSED: 'refused',
  BAD_REQUEST: 'refused',
  EGRESS_UNREACHABLE: 'unreachable',
  DEADLINE_EXCEEDED: 'unreachable',
  LIMIT_REACHED: 'over_limit',
  ABORTED: 'closed',
};

/** Whatever was thrown on the way, as an ending. What nobody foresaw ends the connection too, and looks like a wall. */
export function endingOf(thrown: unknown): Ending {
  if (thrown instanceof Ending) return thrown;
  const error = toCaissonError(thrown);
  return new Ending(outcomes[error.code] ?? 'refused', error);
}

/** A wall of the gateway. */
export function refusal(message: string): Ending {
  return new Ending('refused', new CaissonError('EGRESS_REFUSED', message));
}
