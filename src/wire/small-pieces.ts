import type { Readable, Writable } from 'node:stream';
import { GatheredBytes } from '../kernel/gathered-bytes.ts';

/** Beyond so many unread pieces, small ones are gathered. */
const mostPieces = 64;
/** Into pieces of this. */
export const gatheredBytes = 16 * 1024;
/** A piece takes some 400 bytes besides its own: from here on that is little. */
export const smallBytes = 4 * 1024;

/**
 * Keeps what is unread of a stream of bytes at about as much memory as it has bytes, in however small pieces it comes. Node keeps each piece
 * by itself, and as a view of the whole read that it lay in, up to 64 KiB. A small one becomes a copy; where many wait already it is
 * added to those before it. Who reads gets all that is there, and who has read until there was no more (`null`) is told of each piece.
 *
 * Nothing is held back: there is something gathered only while the stream itself has something unread, which whoever takes it takes
 * by `read`, as Node does in all its ways of reading.
 */
export function gatherSmallPieces(stream: Readable): void {
  const push = stream.push.bind(stream);
  const read = stream.read.bind(stream);
  /** Since the reader had taken all, or was waiting for more. */
  let pieces = 0;
  const gathered = new GatheredBytes();
  const handOn = (): void => {
    if (gathered.length === 0) return;
    const piece = gathered.bytes;
    gathered.clear();
    push(piece);
  };
  stream.push = (piece: unknown, encoding) => {
    pieces = stream.readableLength === 0 ? 1 : pieces + 1;
    if (pieces <= mostPieces || !(piece instanceof Uint8Array) || piece.length >= smallBytes) {
      handOn();
      return push(isSmallPart(piece) ? copy(piece) : piece, encoding);
    }
    if (gathered.length + piece.length > gatheredBytes) handOn();
    gathered.add(piece);
    return stream.readableLength + gathered.length < stream.readableHighWaterMark;
  };
  stream.read = (size) => {
    if (size === 0) return read(0); // takes nothing
    handOn();
    const taken: unknown = read(size);
    if (taken === null || stream.readableLength === 0) pieces = 0;
    return taken;
  };
  const destroy = stream.destroy.bind(stream);
  stream.destroy = (error) => {
    if (!stream.destroyed) handOn(); // what has come can be read all the same
    return destroy(error);
  };
}

/**
 * The same for what is written and not yet sent: while a small piece waits, `write` says that there is no room, and `writableNeedDrain`
 * too, so that whoever passes a stream on waits, and the next ones are gathered where they come from. What is taken at once, as mostly,
 * waits for nothing.
 */
export function holdBackSmallPieces(stream: Writable): void {
  const write = stream.write.bind(stream) as (piece: unknown, ...given: readonly unknown[]) => boolean;
  const beneath: object | null = Reflect.getPrototypeOf(stream);
  let waiting = 0;
  stream.write = (piece: unknown, ...given: readonly unknown[]) => {
    if (given.length > 0 || !(piece instanceof Uint8Array) || piece.length >= smallBytes) {
      return write(piece, ...given);
    }
    let isAwaited = false;
    const hasRoom = write(piece, (error?: Error | null) => {
      if (!isAwaited) return;
      waiting -= 1;
      if (waiting === 0 && error == null) stream.emit('drain');
    });
    isAwaited = hasRoom && stream.writableLength > 0;
    if (isAwaited) waiting += 1;
    return hasRoom && !isAwaited;
  };
  Object.defineProperty(stream, 'writableNeedDrain', {
    configurable: true,
    get: () => waiting > 0 || (beneath !== null && Reflect.get(beneath, 'writableNeedDrain', stream) === true),
  });
}

/** Beside what it keeps in memory. */
function isSmallPart(piece: unknown): piece is Uint8Array {
  return piece instanceof Uint8Array && piece.length * 4 < piece.buffer.byteLength;
}

/** Not in Node's pool: a piece would keep all that was copied beside it. */
function copy(piece: Uint8Array): Buffer {
  const own = Buffer.allocUnsafeSlow(piece.length);
  own.set(piece);
  return own;
}
