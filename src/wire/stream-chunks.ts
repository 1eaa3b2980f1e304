import { once } from 'node:events';
import type { ClientHttp2Stream } from 'node:http2';
import { brokenStream } from './requests.ts';

/**
 * What comes down a stream, as it is asked for. Not by the stream's own iterator: that takes a stream of HTTP/2 which is
 * closed for the session, but not yet read, for one that broke. Throws WIRE_LOST, or the signal's reason, when it is destroyed
 * before its end; leaving the loop destroys it.
 */
export async function* streamChunks(stream: ClientHttp2Stream, signal?: AbortSignal): AsyncGenerator<Buffer, void> {
  const settled = new AbortController();
  stream.once('end', () => settled.abort()).once('close', () => settled.abort());
  try {
    for (;;) {
      const chunk: unknown = stream.read();
      if (Buffer.isBuffer(chunk)) yield chunk;
      else if (stream.readableEnded) return;
      else if (stream.destroyed) throw brokenStream(stream, signal);
      else await once(stream, 'readable', { signal: settled.signal }).catch(() => undefined); // ended or closed
    }
  } finally {
    if (!stream.readableEnded) stream.destroy();
  }
}
