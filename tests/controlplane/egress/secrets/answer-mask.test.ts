import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { bodyMask, maskedHeaders } from '../../../../src/controlplane/egress/secrets/answer-mask.ts';

const hidden = ['abcabcabd', 'bdaabc'] as const;
const starred = (text: string): string =>
  hidden.reduce((rest, secret) => rest.replaceAll(secret, '*'.repeat(secret.length)), text);

test('secrets leave a body as stars, however it is cut into pieces', async () => {
  const words = fc.constantFrom(...hidden, 'abc', 'abcabc', 'bda', 'x', 'abcabcab', 'd');
  await fc.assert(
    fc.asyncProperty(fc.array(words), fc.array(fc.nat(9)), async (parts, cuts) => {
      const text = parts.join('');
      const pieces: Buffer[] = [];
      let at = 0;
      for (const cut of cuts) pieces.push(Buffer.from(text.slice(at, (at += cut))));
      pieces.push(Buffer.from(text.slice(at)));
      const masked = await buffer(Readable.from(pieces).pipe(bodyMask(hidden)));
      expect(masked.toString()).toBe(starred(text));
    }),
  );
});

test('and headers, each of their values', () => {
  expect(maskedHeaders({ a: `x ${hidden[0]} y`, b: ['1', hidden[1]] }, hidden)).toEqual({
    a: 'x ********* y',
    b: ['1', '******'],
  });
});
