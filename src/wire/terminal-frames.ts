import type { ErrorCode } from '../kernel/error-table.ts';
import { CaissonError } from '../kernel/errors.ts';
import { terminalBounds } from './contract/terminals.ts';

/** A frame is 4 bytes length (big-endian, of what follows), 1 byte kind, and the payload. */
const headBytes = 5;
const kinds = { bytes: 0, control: 1 } as const;

/** Of an offset before output. */
export const offsetBytes = 8;

const longest = {
  [kinds.bytes]: offsetBytes + Math.max(terminalBounds.inputChunkBytes, terminalBounds.outputChunkBytes),
  [kinds.control]: terminalBounds.controlBytes,
} as const;

export interface TerminalFrame {
  readonly kind: keyof typeof kinds;
  readonly payload: Buffer;
}

/** A frame whose payload the caller fills in: `length` bytes after what is returned as `payload` begins. */
export function emptyBytesFrame(length: number): { readonly frame: Buffer; readonly payload: Buffer } {
  const frame = Buffer.allocUnsafe(headBytes + length);
  writeHead(frame, kinds.bytes, length);
  return { frame, payload: frame.subarray(headBytes) };
}

export function bytesFrame(payload: Uint8Array): Buffer {
  const { frame, payload: target } = emptyBytesFrame(payload.length);
  target.set(payload);
  return frame;
}

export function controlFrame(message: object): Buffer {
  const json = Buffer.from(JSON.stringify(message));
  const frame = Buffer.allocUnsafe(headBytes + json.length);
  writeHead(frame, kinds.control, json.length);
  json.copy(frame, headBytes);
  return frame;
}

function writeHead(frame: Buffer, kind: number, length: number): void {
  frame.writeUInt32BE(1 + length, 0);
  frame[4] = kind;
}

/** The offset in front of output. May exceed what a number holds exactly, if its sender is no friend. */
export function readOffset(payload: Buffer): number {
  return payload.readUInt32BE(0) * 2 ** 32 + payload.readUInt32BE(4);
}

export function writeOffset(payload: Buffer, offset: number): void {
  payload.writeUInt32BE(Math.floor(offset / 2 ** 32), 0);
  payload.writeUInt32BE(offset % 2 ** 32, 4);
}

/** Cuts a stream into its frames. Holds at most one frame that is not whole. */
export class TerminalFrameReader {
  readonly #violation: ErrorCode;
  #rest: Buffer = Buffer.alloc(0);

  /** `violation`: the code of what is thrown over a frame that cannot be one. */
  constructor(violation: ErrorCode) {
    this.#violation = violation;
  }

  /** The frames that `chunk` completes. Their payloads may share its memory. */
  *read(chunk: Buffer): Generator<TerminalFrame> {
    let all = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = Buffer.alloc(0);
    while (all.length >= headBytes) {
      const length = all.readUInt32BE(0) - 1;
      const kind = this.#kindOf(all[4], length);
      if (all.length < headBytes + length) break;
      const payload = all.subarray(headBytes, headBytes + length);
      all = all.subarray(headBytes + length);
      yield { kind, payload };
    }
    this.#rest = all;
  }

  #kindOf(code: number | undefined, length: number): TerminalFrame['kind'] {
    if (code === kinds.bytes && length >= 0 && length <= longest[code]) return 'bytes';
    if (code === kinds.control && length >= 0 && length <= longest[code]) return 'control';
    throw new CaissonError(this.#violation, 'What came over a terminal is no frame.');
  }
}
