import { once } from 'node:events';
import type { ClientHttp2Stream } from 'node:http2';
import { brokenStream, wasCut } from './requests.ts';

/**
 * What comes down a stream, as it is asked for. Not by the stream's own iterator: that takes a stream of HTTP/2 which is
 * closed for the session, but not yet read, for one that broke. Throws WIRE_LOST, or the signal's reason, when it is destroyed
 * or cut before its end; leaving the loop destroys it.
 */
export async function* streamChunks(stream: ClientHttp2Stream, signal?: AbortSignal): AsyncGenerator<Buffer, void> {
  const settled = new AbortController();
  let isCut = false;
  stream.once('close', () => settled.abort());
  stream.prependOnceListener('end', () => {
    isCut = wasCut(stream); // known only now: whoever hears of the end next may take its session away
    settled.abort();
  });
  try {
    for (;;) {
      const chunk: unknown = stream.read();
      if (Buffer.isBuffer(chunk)) yield chunk;
      else if (stream.readableEnded) {
        if (isCut) throw brokenStream(stream, signal);
        return;
      } else if (stream.destroyed) throw brokenStream(stream, signal);
      else await once(stream, 'readable', { signal: settled.signal }).catch(() => undefined); // ended or closed
    }
  } finally {
    if (!stream.readableEnded) stream.destroy();
  }
}
