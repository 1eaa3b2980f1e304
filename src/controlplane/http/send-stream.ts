import type { FastifyReply } from 'fastify';
import { readerPatience, readerRoom } from '../api/sse/reader-room.ts';
import { holdBackSmallPieces } from '../../wire/small-pieces.ts';
import { hijack } from './hijack.ts';

interface Content {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
  readonly chunks: AsyncGenerator<Buffer, void>;
  readonly signal: AbortSignal;
  /** A reader who makes no room for `readerPatience` times as long is cut off. */
  readonly stallMs: number;
  /** Hears what ended it before its end, and after how many bytes; `isCut`: rather than refused. */
  readonly onCut: (bytes: number, err: unknown, isCut?: boolean) => void;
}

/** Answers with a stream that is cut, for all to see, where it cannot be finished. What fails before its first chunk is thrown. */
export async function sendStream(reply: FastifyReply, content: Content): Promise<void> {
  const { status, headers, signal, onCut } = content;
  const chunks = await begun(content.chunks).catch((thrown: unknown) => {
    onCut(0, thrown);
    throw signal.aborted ? signal.reason : thrown;
  });
  const stallMs = content.stallMs * readerPatience;
  const raw = hijack(reply.headers(headers));
  holdBackSmallPieces(raw);
  const cut = (): void => void raw.destroy(); // the length that was announced, or the missing last chunk, tells the reader
  signal.addEventListener('abort', cut);
  let bytes = 0;
  try {
    raw.writeHead(status);
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (!raw.write(chunk)) await readerRoom(raw, stallMs);
      signal.throwIfAborted();
    }
    raw.end();
    await readerRoom(raw, stallMs, 'finish');
  } catch (thrown) {
    onCut(bytes, thrown, true);
    cut();
  } finally {
    signal.removeEventListener('abort', cut);
  }
}

/** The same chunks, when the first of them is here. */
async function begun(chunks: AsyncGenerator<Buffer, void>): Promise<AsyncIterable<Buffer>> {
  const first = await chunks.next();
  return (async function* () {
    if (first.done !== true) yield first.value;
    yield* chunks;
  })();
}
