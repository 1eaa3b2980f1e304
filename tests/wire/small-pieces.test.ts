import { once } from 'node:events';
import type { ClientHttp2Stream, ServerHttp2Stream } from 'node:http2';
import { duplexPair, PassThrough, Readable, Writable } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { connectHttp2 } from '../../src/wire/connect-http2.ts';
import { openStream } from '../../src/wire/requests.ts';
import { serveOutward } from '../../src/wire/serve-outward.ts';
import { gatherSmallPieces, holdBackSmallPieces } from '../../src/wire/small-pieces.ts';
import { collectGarbage } from '../used-memory.ts';

/** Two ends of a stream of bytes. What the first writes in one go comes in one piece, as from a pipe. */
function pipedPair(): ReturnType<typeof duplexPair> {
  const [near, middle] = duplexPair();
  const [other, far] = duplexPair();
  let written: Buffer[] = [];
  middle.on('data', (piece: Buffer) => {
    if (written.push(piece) > 1) return;
    setImmediate(() => {
      other.write(Buffer.concat(written));
      written = [];
    });
  });
  other.pipe(middle);
  return [near, far];
}

/** A guest's session, and what the control plane does with a stream of it. */
async function openWire(handler: (stream: ServerHttp2Stream) => void, [near, far] = duplexPair()) {
  const server = serveOutward(far, handler, { onHandlerError: () => undefined });
  const client = connectHttp2(near);
  await once(client.session, 'remoteSettings');
  return {
    open: (): ClientHttp2Stream =>
      openStream(client.session, { headers: { ':method': 'POST', ':path': '/' }, endStream: false }),
    async [Symbol.asyncDispose]() {
      await client.close();
      await server.close();
    },
  };
}

/** Each in a frame of its own. */
async function say(stream: ClientHttp2Stream | ServerHttp2Stream, pieces: number, text = '.'): Promise<void> {
  for (let said = 0; said < pieces && !stream.closed; said++) {
    await new Promise<void>((resolve) => stream.write(text, () => resolve()));
  }
}

test('a byte that is held does not hold the read that it came in', async () => {
  const held: Buffer[] = [];
  let streams = 0;
  await using wire = await openWire((stream) => {
    streams++;
    stream.on('data', (piece: Buffer) => {
      if (piece.length === 1) held.push(piece);
    });
  }, pipedPair());
  const [small, large] = [wire.open(), wire.open()];
  await expect.poll(() => streams).toBe(2);
  for (let round = 0; round < 20; round++) {
    small.write('.');
    large.write('x'.repeat(8_000));
    await expect.poll(() => held.length).toBe(round + 1);
  }
  expect(Math.max(...held.map(({ buffer }) => buffer.byteLength))).toBe(1);
});

test('thousands of bytes that come one by one, and that nobody reads, are few pieces, in their order', async () => {
  let far: ServerHttp2Stream | undefined;
  await using wire = await openWire((stream) => {
    stream.pause();
    far = stream;
  });
  const stream = wire.open();
  const text = Array.from({ length: 20_000 }, (_, index) => String.fromCharCode(97 + (index % 26)));
  for (const letter of text) await say(stream, 1, letter);
  stream.end();
  const pieces: Buffer[] = [];
  far?.on('data', (piece: Buffer) => pieces.push(piece)).resume();
  await expect.poll(() => far?.readableEnded).toBe(true);
  expect(Buffer.concat(pieces).toString()).toBe(text.join(''));
  expect(pieces.length).toBeLessThan(70); // 64, and those of 16 KiB that hold the others
});

test('nor does one who answers fill the memory of who asked', async () => {
  const all = Promise.withResolvers<void>();
  await using wire = await openWire((stream) => {
    stream.respond();
    void say(stream, 3_000).then(() => stream.end(all.resolve));
  });
  const stream = wire.open().pause();
  stream.end();
  await once(stream, 'response');
  let pieces = 0;
  let bytes = 0;
  await all.promise;
  stream.on('data', (piece: Buffer) => {
    pieces += 1;
    bytes += piece.length;
  });
  stream.resume();
  await once(stream, 'end');
  expect(bytes).toBe(3_000);
  expect(pieces).toBeLessThan(70);
});

/** How a stream is read. Each resolves with all of it, when it has ended. */
const readers: Readonly<Record<string, (stream: Readable) => Promise<Buffer>>> = {
  'by its data': async (stream) => {
    const all: Buffer[] = [];
    stream.on('data', (piece: Buffer) => all.push(piece));
    await once(stream, 'end');
    return Buffer.concat(all);
  },
  'by its data, with pauses': async (stream) => {
    const all: Buffer[] = [];
    stream.on('data', (piece: Buffer) => {
      all.push(piece);
      stream.pause();
      setImmediate(() => stream.resume());
    });
    await once(stream, 'end');
    return Buffer.concat(all);
  },
  'by its iterator': async (stream) => {
    const all: Buffer[] = [];
    for await (const piece of stream) all.push(piece as Buffer);
    return Buffer.concat(all);
  },
  'three bytes at a time': async (stream) => {
    const all: Buffer[] = [];
    stream.on('readable', () => {
      for (;;) {
        const piece = (stream.read(3) ?? null) as Buffer | null;
        if (piece === null) return;
        all.push(piece);
      }
    });
    await once(stream, 'end');
    return Buffer.concat(all);
  },
  'once its beginning has been looked at and put back': async (stream) => {
    let seen = Buffer.alloc(0);
    await new Promise<void>((resolve) => {
      const take = (piece: Buffer): void => {
        seen = Buffer.concat([seen, piece]);
        if (seen.length < 200) return;
        stream.off('data', take).pause();
        resolve();
      };
      stream.on('data', take).once('end', resolve);
    });
    if (stream.readableEnded) return seen;
    stream.unshift(seen);
    await new Promise(setImmediate); // more of it comes meanwhile
    const all: Buffer[] = [];
    for await (const piece of stream) all.push(piece as Buffer);
    return Buffer.concat(all);
  },
};

const lengths = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 6_000 }));
/** What comes, and after which of it the sender waits for a turn of the event loop. */
const arrivals = fc.array(fc.record({ length: lengths, isLast: fc.boolean() }), { minLength: 200, maxLength: 400 });

/** What is sent comes through it, and is read of the stream. */
const sources: Readonly<
  Record<string, () => { readonly send: (piece: Buffer | null) => unknown; readonly stream: Readable }>
> = {
  'as it is pushed': () => {
    const stream = new Readable({ read: () => undefined });
    gatherSmallPieces(stream);
    return { send: (piece) => stream.push(piece), stream };
  },
  'through a transform': () => {
    const source = new Readable({ read: () => undefined });
    const stream = new PassThrough();
    gatherSmallPieces(source);
    gatherSmallPieces(stream);
    holdBackSmallPieces(stream);
    source.pipe(stream);
    return { send: (piece) => source.push(piece), stream };
  },
};
const ways = Object.keys(sources).flatMap((source) => Object.keys(readers).map((reader) => [source, reader] as const));

test.each(ways)('all that comes %s is read %s, in its order', async (sourceName, readerName) => {
  await fc.assert(
    fc.asyncProperty(arrivals, async (given) => {
      let next = 0;
      const source = sources[sourceName]?.();
      if (source === undefined) throw new Error('there is no such source');
      const { send, stream } = source;
      const read = readers[readerName]?.(stream);
      const sent: Buffer[] = [];
      for (const { length, isLast } of given) {
        const piece = Buffer.from(Array.from({ length }, () => next++ % 251));
        sent.push(piece);
        send(piece);
        if (isLast) await new Promise(setImmediate);
      }
      send(null);
      expect((await read)?.equals(Buffer.concat(sent))).toBe(true);
    }),
    { numRuns: 20 },
  );
});

describe('of a stream that goes on', () => {
  /** With so many bytes unread, which came one by one. */
  function withUnread(bytes: number): Readable {
    const stream = new Readable({ read: () => undefined });
    gatherSmallPieces(stream);
    for (let came = 0; came < bytes; came++) stream.push(Buffer.from('.'));
    return stream;
  }

  test('all that came is read at once', () => {
    expect((withUnread(1_000).read() as Buffer).length).toBe(1_000);
  });

  test('all that came is told', async () => {
    let bytes = 0;
    withUnread(1_000).on('data', (piece: Buffer) => (bytes += piece.length));
    await expect.poll(() => bytes).toBe(1_000);
  });

  test('who waits for so many bytes is told when they are there', async () => {
    const stream = withUnread(0);
    const taken: Buffer[] = [];
    stream.on('readable', () => {
      const piece = stream.read(1_000) as Buffer | null;
      if (piece !== null) taken.push(piece);
    });
    for (let came = 0; came < 1_000; came++) {
      stream.push(Buffer.from('.'));
      await new Promise(setImmediate);
    }
    expect(taken.map(({ length }) => length)).toEqual([1_000]);
  });

  test('what came before it was destroyed can be read', () => {
    const stream = withUnread(1_000);
    stream.destroy();
    expect((stream.read() as Buffer).length).toBe(1_000);
  });

  test('what was gathered and read is let go of', async () => {
    const held = async (): Promise<number> => {
      collectGarbage();
      await new Promise(setImmediate);
      collectGarbage();
      return process.memoryUsage().arrayBuffers;
    };
    const before = await held();
    const drained = Array.from({ length: 2_000 }, () => {
      const stream = withUnread(100);
      stream.read();
      return stream;
    });
    expect(((await held()) - before) / drained.length).toBeLessThan(1_024); // 16 KiB are gathered at a time
  });

  test('the sender hears that it is full when so many bytes are unread, in whatever pieces', () => {
    const stream = withUnread(0);
    let bytes = 1;
    while (stream.push(Buffer.from('.')) && bytes < 100_000) bytes += 1;
    expect(bytes).toBe(stream.readableHighWaterMark);
  });
});

describe('what is written and not yet sent', () => {
  /** Takes nothing until `take` is called, and then one piece, or all that waits. */
  function slowSink() {
    const taken: string[] = [];
    let take = (): void => undefined;
    const sink = new Writable({
      write(piece: Buffer, _encoding, done) {
        take = () => {
          taken.push(piece.toString());
          done();
        };
      },
    });
    holdBackSmallPieces(sink);
    return { sink, taken, take: () => take() };
  }

  test('of a stream of single bytes one waits; the others are gathered, and leave together', async () => {
    const { sink, taken, take } = slowSink();
    const source = new Readable({ read: () => undefined });
    gatherSmallPieces(source);
    source.pipe(sink);
    const finished = once(sink, 'finish');
    const text = Array.from({ length: 20_000 }, (_, index) => String.fromCharCode(97 + (index % 26))).join('');
    for (let index = 0; index < text.length; index++) {
      source.push(Buffer.from(text.charAt(index)));
      if (index % 1_000 === 0) await new Promise(setImmediate);
    }
    source.push(null);
    expect(sink.writableLength).toBe(1);
    const taking = setInterval(take);
    await finished;
    clearInterval(taking);
    expect(taken.join('')).toBe(text);
    expect(taken.length).toBeLessThan(140); // those that were there before any were gathered, and a few
  });

  test('what is taken at once waits for nothing, nor does what is large', () => {
    const ready = new Writable({ write: (_piece, _encoding, done) => done() });
    holdBackSmallPieces(ready);
    expect([ready.write(Buffer.from('.')), ready.write(Buffer.from('.'))]).toEqual([true, true]);
    const { sink } = slowSink();
    expect(sink.write(Buffer.alloc(4_096))).toBe(true);
    expect(sink.write(Buffer.from('.'))).toBe(false);
  });

  test('who asks whether there is room hears the same', async () => {
    const { sink, take } = slowSink();
    expect(sink.writableNeedDrain).toBe(false);
    sink.write(Buffer.from('.'));
    expect(sink.writableNeedDrain).toBe(true);
    const drained = once(sink, 'drain');
    take();
    await drained;
    expect(sink.writableNeedDrain).toBe(false);
    sink.write(Buffer.alloc(sink.writableHighWaterMark));
    expect(sink.writableNeedDrain).toBe(true);
  });

  test('there is room when the last of them is taken', async () => {
    const { sink, take } = slowSink();
    let drains = 0;
    sink.on('drain', () => (drains += 1));
    for (let piece = 0; piece < 3; piece++) sink.write(Buffer.from('.'));
    for (const expected of [0, 0, 1]) {
      take();
      await new Promise(setImmediate);
      expect(drains).toBe(expected);
    }
  });

  test('a write that fails makes no room', async () => {
    const failing = new Writable({ write: (_piece, _encoding, done) => void setImmediate(done, new Error('no')) });
    holdBackSmallPieces(failing);
    let drains = 0;
    failing.on('drain', () => (drains += 1));
    const failed = once(failing, 'error').catch((error: unknown) => [error]);
    expect(failing.write(Buffer.from('.'))).toBe(false);
    await failed;
    await new Promise(setImmediate);
    expect(drains).toBe(0);
  });

  test('a write with a callback is heard of once', async () => {
    const { sink, take } = slowSink();
    let heard = 0;
    sink.write(Buffer.from('.'), () => (heard += 1));
    take();
    await new Promise(setImmediate);
    expect(heard).toBe(1);
  });
});
