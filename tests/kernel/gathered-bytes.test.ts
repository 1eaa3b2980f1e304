import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { GatheredBytes } from '../../src/kernel/gathered-bytes.ts';

test('what was added comes out in its order; what came out, and what was added, stays as it is', () => {
  const piece = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.array(piece), fc.array(piece), (first, second) => {
      const gathered = new GatheredBytes();
      const added = [...first, ...second].map((each) => Buffer.from(each));
      for (const each of first) gathered.add(each);
      const early = gathered.bytes;
      for (const each of second) gathered.add(each);
      expect(early).toEqual(Buffer.concat(first));
      expect(gathered.bytes).toEqual(Buffer.concat([...first, ...second]));
      expect(gathered.length).toBe(gathered.bytes.length);
      const whole = gathered.bytes;
      gathered.clear();
      expect(gathered.length).toBe(0);
      gathered.add(Buffer.alloc(whole.length, 'x'));
      expect(whole).toEqual(Buffer.concat([...first, ...second]));
      expect([...first, ...second]).toEqual(added);
    }),
  );
});
