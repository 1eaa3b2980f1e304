import { CaissonError } from '../../kernel/errors.ts';

type Encoding = 'utf8' | 'base64';

/** @throws BAD_REQUEST for base64 that is none, and for text that has no UTF-8. */
export function decodeBytes({ data, encoding }: { readonly data: string; readonly encoding: Encoding }): Buffer {
  if (encoding === 'utf8' && !data.isWellFormed()) {
    throw new CaissonError('BAD_REQUEST', 'The text is not well-formed.', {
      hint: 'Send bytes with `encoding: "base64"`.',
    });
  }
  const bytes = Buffer.from(data, encoding);
  if (encoding === 'base64' && !isBase64Of(bytes, data)) {
    throw new CaissonError('BAD_REQUEST', 'The data is not base64.');
  }
  return bytes;
}

/** With its padding, or without. */
function isBase64Of(bytes: Buffer, data: string): boolean {
  const padded = bytes.toString('base64');
  return data === padded || data === padded.replaceAll('=', '');
}

/** Text where the bytes are UTF-8 as they stand, which is shorter; else base64. Exact either way. */
export function encodeBytes(bytes: Buffer): { readonly data: string; readonly encoding: Encoding } {
  try {
    return { data: strict.decode(bytes), encoding: 'utf8' };
  } catch {
    return { data: bytes.toString('base64'), encoding: 'base64' }; // no UTF-8, or the half of a character
  }
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
