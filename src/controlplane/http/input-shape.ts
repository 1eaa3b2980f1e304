import { CaissonError } from '../../kernel/errors.ts';
import { hasJsonShape, type JsonBounds } from '../../wire/json-shape.ts';

/**
 * Of the JSON that a caller sends in one request or message. The largest input that a procedure takes is a command of 4,096 words
 * with 1,000 variables: 5,100 marks. All calls of a batch share them. 10,000 keys that nobody knows take 25 ms to refuse, and
 * 700,000 would take seconds, in which nobody else is served.
 */
const inputShape: JsonBounds = { marks: 10_000, depth: 64 };

/**
 * Before it is parsed: to parse what nests, or has very many values, takes far longer than to read it.
 *
 * @throws CaissonError BAD_REQUEST
 */
export function demandInputShape(text: string): void {
  if (hasJsonShape(text, inputShape)) return;
  const { marks, depth } = inputShape;
  throw new CaissonError('BAD_REQUEST', 'The input has too many values, or is nested too deeply.', {
    hint: `Send at most ${marks} commas and opening brackets, ${depth} of them nested, in one request.`,
    details: { marks, depth },
  });
}
