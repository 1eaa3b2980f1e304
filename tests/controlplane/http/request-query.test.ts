import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { requestQuery } from '../../../src/controlplane/http/request-query.ts';

/** What Node lets through in the target of a request: no spaces and no control characters, each byte a character. */
const character = fc.oneof(
  fc.constantFrom(...'?&=#%+/\\"<>\'`{}[]^|;:@'.split('')),
  fc
    .integer({ min: 0x21, max: 0xff })
    .filter((code) => code !== 0x7f)
    .map((code) => String.fromCharCode(code)),
  fc.constantFrom('%20', '%C3%A4', '%FF', '%', '%2', '%00', 'input=', 'batch=1'),
);

test('a query is read as that of a URL', () => {
  fc.assert(
    fc.property(fc.array(character), (characters) => {
      const target = `/trpc/agents.list${characters.join('')}`;
      expect([...requestQuery(target)]).toEqual([...new URL(target, 'http://caisson').searchParams]);
    }),
    { numRuns: 1_000 },
  );
});
