import { Transform } from 'node:stream';
import { SecretMask } from '../../model-gateway/secret-mask.ts';

/** Takes texts out of the body of an answer: they leave as stars, of the same length, so that its length stays. */
export function bodyMask(hidden: readonly string[]): Transform {
  const masks = hidden.map((text) => new SecretMask(text));
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      done(
        null,
        masks.reduce((bytes, mask) => mask.pass(bytes), chunk),
      );
    },
    flush(done) {
      // What one held back goes through those after it.
      let rest: Buffer = Buffer.alloc(0);
      for (const mask of masks) rest = Buffer.concat([mask.pass(rest), mask.rest()]);
      done(null, rest);
    },
  });
}

type Headers = Record<string, string | string[]>;

/** The same for its headers. */
export function maskedHeaders(headers: Headers, hidden: readonly string[]): Headers {
  const masked = (value: string): string =>
    hidden.reduce((text, secret) => text.replaceAll(secret, '*'.repeat(secret.length)), value);
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      typeof value === 'string' ? masked(value) : value.map(masked),
    ]),
  );
}
