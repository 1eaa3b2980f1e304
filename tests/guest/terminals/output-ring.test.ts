import { array, assert, integer, property, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { OutputRing } from '../../../src/guest/terminals/output-ring.ts';

test('holds the last bytes of all that was pushed, at their offsets', () => {
  const chunk = uint8Array({ maxLength: 90 });
  assert(
    property(
      integer({ min: 1, max: 64 }),
      array(chunk, { maxLength: 40 }),
      integer({ min: 0, max: 70 }),
      (capacity, chunks, room) => {
        const ring = new OutputRing(capacity);
        let all = Buffer.alloc(0);
        for (const pushed of chunks) {
          ring.push(pushed);
          all = Buffer.concat([all, pushed]);
          expect([ring.start, ring.end]).toEqual([Math.max(0, all.length - capacity), all.length]);
          for (let offset = ring.start; offset <= ring.end; offset++) {
            const target = Buffer.alloc(room);
            const length = ring.copy(offset, target);
            expect(length).toBe(Math.min(room, all.length - offset));
            expect(target.subarray(0, length)).toEqual(all.subarray(offset, offset + length));
          }
        }
      },
    ),
  );
});

test('a ring of real size grows to its capacity and no further', () => {
  const ring = new OutputRing(1024 * 1024);
  const block = Buffer.alloc(100_000);
  for (let written = 0; written < 30; written++) {
    block.fill(written);
    ring.push(block);
  }
  expect([ring.start, ring.end]).toEqual([3_000_000 - 1024 * 1024, 3_000_000]);
  const last = Buffer.alloc(100_001);
  expect(ring.copy(2_899_999, last)).toBe(100_001);
  expect([last[0], last[1], last.at(-1)]).toEqual([28, 29, 29]);
});

test('what is not there is not given', () => {
  const ring = new OutputRing(4);
  ring.push(Buffer.from('abcdef'));
  expect(() => ring.copy(1, Buffer.alloc(1))).toThrow(RangeError);
  expect(() => ring.copy(7, Buffer.alloc(1))).toThrow(RangeError);
});
