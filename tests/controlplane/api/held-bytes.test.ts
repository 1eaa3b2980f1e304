import { array, assert, constantFrom, integer, property, record } from 'fast-check';
import { expect, test } from 'vitest';
import { HeldBytes } from '../../../src/controlplane/api/held-bytes.ts';
import { aPrincipal } from '../principals.ts';

const [alice, bob] = [aPrincipal('alice'), aPrincipal('bob')];
const refusal = (limit: number) => expect.objectContaining({ code: 'TOO_MANY_CONNECTIONS', details: { limit } });

test('more than a key may hold is refused, and more than all may hold', () => {
  const held = new HeldBytes({ perKey: 100_000, inAll: 150_000 });
  held.of(alice).set(60_000);
  const second = held.of(alice);
  expect(() => second.set(40_001)).toThrow(refusal(100_000));
  second.set(40_000);
  expect(() => second.set(40_001)).toThrow(refusal(100_000));
  const other = held.of(bob);
  expect(() => other.set(50_001)).toThrow(refusal(150_000));
  other.set(50_000);
  expect(held.count).toBe(150_000);
});

test('a session is not called an API key', () => {
  const held = new HeldBytes({ perKey: 20_000, inAll: 40_000 });
  const message = (what: string) =>
    expect.objectContaining({ message: expect.stringContaining(`What ${what} has sent`) });
  expect(() => held.of(alice).set(20_001)).toThrow(message('this API key'));
  expect(() => held.of({ ...bob, signedInBy: 'oidc' }).set(20_001)).toThrow(message('this session'));
});

test('what is small is held beside all else', () => {
  const held = new HeldBytes({ perKey: 20_000, inAll: 20_000 });
  held.of(alice).set(20_000);
  held.of(alice).set(16_384);
  expect(() => held.of(alice).set(16_385)).toThrow(refusal(20_000));
});

test('what was given back is never held again, also where its answer comes late', () => {
  const held = new HeldBytes({ perKey: 100_000, inAll: 100_000 });
  const holding = held.of(alice);
  holding.set(50_000);
  holding[Symbol.dispose]();
  holding.set(50_000);
  expect(held.count).toBe(0);
});

test('whatever is held, refused and given back in any order: the count is that of what is held', () => {
  const step = record({ at: integer({ min: 0, max: 3 }), bytes: constantFrom(0, 16_384, 17_000, 40_000, 70_000, -1) });
  assert(
    property(array(step, { maxLength: 40 }), (steps) => {
      const held = new HeldBytes({ perKey: 80_000, inAll: 120_000 });
      const holdings = [alice, alice, bob, bob].map((by) => ({ holding: held.of(by), bytes: 0, isOver: false }));
      for (const { at, bytes } of steps) {
        const each = holdings[at];
        if (each === undefined) throw new Error('there are four');
        if (bytes < 0) {
          each.holding[Symbol.dispose]();
          Object.assign(each, { bytes: 0, isOver: true });
          continue;
        }
        try {
          each.holding.set(bytes);
          if (!each.isOver) each.bytes = bytes > 16_384 ? bytes : 0;
        } catch {
          expect(bytes).toBeGreaterThan(each.bytes);
        }
        expect(held.count).toBe(holdings.reduce((sum, one) => sum + one.bytes, 0));
        expect(held.count).toBeLessThanOrEqual(120_000);
      }
      for (const { holding } of holdings) holding[Symbol.dispose]();
      expect(held.count).toBe(0);
    }),
  );
});
