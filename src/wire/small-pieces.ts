import type { ClientHttp2Stream, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';

/** A piece of fewer bytes takes many times as much memory as it has. What programs send by themselves is mostly longer. */
const smallBytes = 32;
/** Of which one stream may hold so many unread, or a few more that were read lately. */
const mostUnread = 2_048;

/**
 * Node hands on what comes on a stream as views of the whole read that it lay in, up to 64 KiB, which each of them keeps in memory
 * until it is read itself. Small ones become copies, so that what is unread takes about as much memory as it has bytes. (What came in
 * the same read as the stream's headers is there already.)
 */
export function copySmallPieces(stream: ClientHttp2Stream | ServerHttp2Stream): void {
  const push = stream.push.bind(stream);
  stream.push = (piece: unknown, encoding) => push(isSmall(piece) ? copy(piece) : piece, encoding);
}

/** Gives up a stream of which very many small pieces come that nobody reads: windows bound bytes, and not what holds them. */
export function boundUnreadPieces(stream: ServerHttp2Stream): void {
  const push = stream.push.bind(stream);
  /** Bytes that have come. Once those up to `mark` are read, so are the small pieces among them. */
  let came = 0;
  let mark = 0;
  let beforeMark = 0;
  let sinceMark = 0;
  stream.push = (piece: unknown, encoding) => {
    if (came - stream.readableLength >= mark) {
      beforeMark = sinceMark;
      sinceMark = 0;
      mark = came;
    }
    if (piece instanceof Uint8Array) {
      came += piece.length;
      if (stream.readableLength > 0 && piece.length < smallBytes) sinceMark += 1;
    }
    if (beforeMark + sinceMark > mostUnread && !stream.closed) stream.close(constants.NGHTTP2_CANCEL);
    return push(piece, encoding);
  };
}

/** Beside what it keeps in memory. */
function isSmall(piece: unknown): piece is Uint8Array {
  return piece instanceof Uint8Array && piece.length * 4 < piece.buffer.byteLength;
}

/** Not in Node's pool: a piece would keep all that was copied beside it. */
function copy(piece: Uint8Array): Buffer {
  const own = Buffer.allocUnsafeSlow(piece.length);
  own.set(piece);
  return own;
}
