import { array, assert as holds, constantFrom, integer, oneof, property, record, uint8Array } from 'fast-check';
import { expect, test } from 'vitest';
import { frameHead, gapFrame, OutputFrameReader, type OutputPiece } from '../../src/wire/output-frames.ts';

const pieceArbitrary = oneof(
  record({
    stream: constantFrom('stdout' as const, 'stderr' as const),
    data: uint8Array({ minLength: 1, maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
  }),
  record({ stream: constantFrom('gap' as const), lost: integer({ min: 1, max: Number.MAX_SAFE_INTEGER }) }),
);

/** Byte by byte, so that it does not matter how the pieces were cut. */
function spelled(pieces: readonly OutputPiece[]): string[] {
  return pieces.flatMap((piece) =>
    piece.stream === 'gap' ? [`gap ${piece.lost}`] : [...piece.data].map((byte) => `${piece.stream} ${byte}`),
  );
}

test('frames are read however they were cut on their way', () => {
  holds(
    property(
      array(pieceArbitrary, { maxLength: 20 }),
      array(integer({ min: 1, max: 30 }), { minLength: 1 }),
      (pieces, cuts) => {
        const bytes = Buffer.concat(
          pieces.flatMap((piece) =>
            piece.stream === 'gap' ? [gapFrame(piece.lost)] : [frameHead(piece.stream, piece.data.length), piece.data],
          ),
        );
        const reader = new OutputFrameReader();
        const read: OutputPiece[] = [];
        for (let at = 0, cut = 0; at < bytes.length; cut++) {
          const size = cuts[cut % cuts.length] ?? 1;
          read.push(...reader.read(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(spelled(read)).toEqual(spelled(pieces));
        expect(reader.isWhole).toBe(true);
      },
    ),
  );
});

test('bytes that are no frames are refused, and never read as output', () => {
  holds(
    property(uint8Array({ minLength: 5, maxLength: 40 }), (bytes) => {
      const isFrame = bytes[0] === 1 || bytes[0] === 2 || bytes[0] === 3;
      if (isFrame) return;
      expect(() => new OutputFrameReader().read(Buffer.from(bytes))).toThrow(/not framed/);
    }),
  );
});

test('a frame that claims to be larger than any, and a gap that cannot be, are refused', () => {
  expect(() => new OutputFrameReader().read(frameHead('stdout', 2 ** 31))).toThrow(/not framed/);
  const gap = gapFrame(1);
  gap.fill(0xff, 5);
  expect(() => new OutputFrameReader().read(gap)).toThrow(/cannot be/);
});

test('a frame that is cut off is not whole', () => {
  const reader = new OutputFrameReader();
  reader.read(Buffer.concat([frameHead('stderr', 10), Buffer.alloc(9)]));
  expect(reader.isWhole).toBe(false);
});
