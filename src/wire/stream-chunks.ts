import type { ClientHttp2Stream } from 'node:http2';
import { brokenStream, leaveStream, wasCut } from './requests.ts';

/**
 * What comes down a stream, as it is asked for, chunk by chunk as it came (a stream's own iterator joins all that waits, a
 * copy as large as its window). Not by that iterator also because it takes a stream of HTTP/2 which is closed for the
 * session, but not yet read, for one that broke. Throws WIRE_LOST, or the signal's reason, when it is destroyed or cut before
 * its end; leaving the loop destroys it.
 */
export async function* streamChunks(stream: ClientHttp2Stream, signal?: AbortSignal): AsyncGenerator<Buffer, void> {
  let next: Buffer | undefined;
  let isCut = false;
  let wake = (): void => undefined;
  stream.on('data', (chunk: Buffer) => {
    next = chunk;
    stream.pause(); // one at a time
    wake();
  });
  stream.once('close', () => wake());
  stream.prependOnceListener('end', () => {
    isCut = wasCut(stream); // known only now: whoever hears of the end next may take its session away
    wake();
  });
  try {
    for (;;) {
      if (next !== undefined) {
        const chunk = next;
        next = undefined;
        yield chunk;
      } else if (stream.readableEnded) {
        if (isCut) throw brokenStream(stream, signal);
        return;
      } else if (stream.destroyed) {
        const rest: unknown = stream.read(); // no longer told
        if (!Buffer.isBuffer(rest)) throw brokenStream(stream, signal);
        yield rest;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
          stream.resume();
        });
      }
    }
  } finally {
    if (!stream.readableEnded) leaveStream(stream);
  }
}
