import { CaissonError } from '../kernel/errors.ts';

/**
 * Output of a process on the wire: frames of a tag (1 byte), a length (4 bytes, big endian), and so many bytes. A gap is
 * a frame that holds, as 8 bytes, how many bytes of the output are gone at this place.
 */
const tags = { stdout: 1, stderr: 2, gap: 3 } as const;
const headBytes = 5;
/** No frame of ours is larger than what one read of a pipe gives. */
const maxFrameBytes = 1024 * 1024;

export type OutputStream = 'stdout' | 'stderr';

/** Bytes of one of the two outputs, or bytes of either that are gone. */
export type OutputPiece =
  { readonly stream: OutputStream; readonly data: Buffer } | { readonly stream: 'gap'; readonly lost: number };

/** The head of a frame; `length` bytes of data follow it. */
export function frameHead(stream: OutputStream, length: number): Buffer {
  const head = Buffer.allocUnsafe(headBytes);
  head.writeUInt8(tags[stream], 0);
  head.writeUInt32BE(length, 1);
  return head;
}

export function gapFrame(lost: number): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + 8);
  frame.writeUInt8(tags.gap, 0);
  frame.writeUInt32BE(8, 1);
  frame.writeBigUInt64BE(BigInt(lost), headBytes);
  return frame;
}

/** Takes frames apart as they come, without holding back or copying what is in them. */
export class OutputFrameReader {
  #head: Buffer = Buffer.alloc(0);
  #tag = 0;
  /** What is still to come of the frame. */
  #left = 0;

  /** The pieces in `bytes`, in order: a large frame comes in several. Throws GUEST_PROTOCOL for what is no frame. */
  read(bytes: Buffer): OutputPiece[] {
    const pieces: OutputPiece[] = [];
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#left > 0 && this.#tag !== tags.gap) {
        const data = rest.subarray(0, this.#left);
        this.#left -= data.length;
        rest = rest.subarray(data.length);
        pieces.push({ stream: this.#tag === tags.stdout ? 'stdout' : 'stderr', data });
        continue;
      }
      const wanted = this.#left > 0 ? this.#left : headBytes;
      const taken = rest.subarray(0, wanted - this.#head.length);
      this.#head = this.#head.length === 0 ? taken : Buffer.concat([this.#head, taken]);
      rest = rest.subarray(taken.length);
      if (this.#head.length < wanted) return pieces;
      const whole = this.#head;
      this.#head = Buffer.alloc(0);
      if (this.#left > 0) {
        this.#left = 0;
        pieces.push({ stream: 'gap', lost: readLost(whole) });
      } else this.#begin(whole);
    }
    return pieces;
  }

  /** Whether the bytes so far end where a frame does. */
  get isWhole(): boolean {
    return this.#left === 0 && this.#head.length === 0;
  }

  #begin(head: Buffer): void {
    this.#tag = head.readUInt8(0);
    this.#left = head.readUInt32BE(1);
    const isOutput = this.#tag === tags.stdout || this.#tag === tags.stderr;
    if (isOutput ? this.#left > maxFrameBytes : this.#tag !== tags.gap || this.#left !== 8) {
      throw new CaissonError('GUEST_PROTOCOL', 'The guest sent output that is not framed as output is.');
    }
  }
}

function readLost(bytes: Buffer): number {
  const lost = bytes.readBigUInt64BE(0);
  if (lost > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new CaissonError('GUEST_PROTOCOL', 'The guest told of a gap in the output that cannot be.');
  }
  return Number(lost);
}
