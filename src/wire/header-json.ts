import { maxHeaderValueBytes } from './http2-settings.ts';
import { CaissonError } from '../kernel/errors.ts';

/** JSON in a header or trailer: base64url, since header values are not free to hold any byte. BAD_REQUEST when too large. */
export function encodeHeaderJson(value: unknown): string {
  const encoded = Buffer.from(JSON.stringify(value)).toString('base64url');
  if (encoded.length > maxHeaderValueBytes) {
    throw new CaissonError('BAD_REQUEST', `The request's parameters exceed ${maxHeaderValueBytes} bytes.`, {
      hint: 'Put what is long into a file or into the input of the process.',
    });
  }
  return encoded;
}

/** The value that `encodeHeaderJson` was given, or undefined for anything else. */
export function decodeHeaderJson(header: unknown): unknown {
  if (typeof header !== 'string') return undefined;
  try {
    return JSON.parse(Buffer.from(header, 'base64url').toString()) as unknown;
  } catch {
    return undefined; // the caller's schema refuses it
  }
}
