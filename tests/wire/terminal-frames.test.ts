import { array, assert, constantFrom, integer, maxSafeInteger, property, tuple, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import {
  bytesFrame,
  controlFrame,
  readOffset,
  TerminalFrameReader,
  writeOffset,
} from '../../src/wire/terminal-frames.ts';

test('frames come out as they went in, however the stream is cut', () => {
  const frame = tuple(constantFrom('bytes' as const, 'control' as const), uint8Array({ maxLength: 300 }));
  assert(
    property(array(frame, { maxLength: 12 }), array(integer({ min: 1, max: 40 }), { minLength: 1 }), (frames, cuts) => {
      const stream = Buffer.concat(
        frames.map(([kind, payload]) => (kind === 'bytes' ? bytesFrame(payload) : controlFrame([...payload]))),
      );
      const reader = new TerminalFrameReader('BAD_REQUEST');
      const read: [string, number[]][] = [];
      for (let at = 0, cut = 0; at < stream.length; cut++) {
        const end = at + (cuts[cut % cuts.length] ?? 1);
        for (const { kind, payload } of reader.read(stream.subarray(at, end))) {
          read.push([kind, kind === 'bytes' ? [...payload] : (JSON.parse(payload.toString()) as number[])]);
        }
        at = end;
      }
      expect(read).toEqual(frames.map(([kind, payload]) => [kind, [...payload]]));
    }),
  );
});

test('every offset that a number holds exactly goes through', () => {
  assert(
    property(maxSafeInteger(), (any) => {
      const offset = Math.abs(any);
      const payload = Buffer.alloc(8);
      writeOffset(payload, offset);
      expect(readOffset(payload)).toBe(offset);
      expect(Number(payload.readBigUInt64BE(0))).toBe(offset);
    }),
  );
});

test.each([
  ['an unknown kind', [0, 0, 0, 1, 7]],
  ['no room for a kind', [0, 0, 0, 0, 0]],
  ['a length that nobody sends', [0xff, 0xff, 0xff, 0xff, 0]],
  ['a control message that is too long', [0, 0, 0x80, 2, 1]],
])('a frame with %s is refused before it is read', (_what, head) => {
  const reader = new TerminalFrameReader('GUEST_PROTOCOL');
  expect(() => [...reader.read(Buffer.from(head))]).toThrow(expect.objectContaining({ code: 'GUEST_PROTOCOL' }));
});
