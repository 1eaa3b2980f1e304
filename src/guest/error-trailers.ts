import type { OutgoingHttpHeaders } from 'node:http2';
import type { CaissonError } from '../kernel/errors.ts';
import { errorTrailer } from '../wire/contract/guest-api.ts';
import { encodeHeaderJson } from '../wire/header-json.ts';

/** Characters of a message that does not fit whole: at most seven bytes each, as JSON in JSON. */
const shortMessage = 1_000;

/**
 * The trailers that say why an answer was not finished; none for one that was. Never throws, as nobody could catch it where
 * trailers are asked for: an error that is too large, about a very long path, is cut and loses its details.
 */
export function errorTrailers(failure: CaissonError | undefined): OutgoingHttpHeaders {
  if (failure === undefined) return {};
  try {
    return { [errorTrailer]: encodeHeaderJson(failure) };
  } catch {
    const message = failure.message.slice(0, shortMessage);
    return { [errorTrailer]: encodeHeaderJson({ ...failure.toJSON(), message, details: {} }) };
  }
}
