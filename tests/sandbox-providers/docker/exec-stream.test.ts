import { once } from 'node:events';
import { Duplex, PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ExecStream } from '../../../src/sandbox-providers/docker/exec-stream.ts';

type Channel = 'stdout' | 'stderr';

/** One frame of the engine. */
function frame(channel: Channel, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header[0] = channel === 'stdout' ? 1 : 2;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

/** The engine's end of a connection: what is written to `toCaisson` arrives; what is sent arrives in `fromCaisson`. */
function connect(isOpen = (): boolean => true) {
  const toCaisson = new PassThrough();
  const fromCaisson = new PassThrough();
  const connection = Duplex.from({ readable: toCaisson, writable: fromCaisson });
  return { stream: new ExecStream(connection, isOpen), toCaisson, fromCaisson, connection };
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const parts: Buffer[] = [];
  let offset = 0;
  for (const size of sizes) {
    parts.push(bytes.subarray(offset, offset + size));
    offset += size;
  }
  return [...parts, bytes.subarray(offset)].filter((part) => part.length > 0);
}

describe('an exec stream', () => {
  test('gives standard output byte for byte, however the frames are cut', async () => {
    const frames = fc.array(fc.tuple(fc.constantFrom<Channel>('stdout', 'stderr'), fc.uint8Array({ maxLength: 300 })));
    await fc.assert(
      fc.asyncProperty(frames, fc.array(fc.integer({ min: 1, max: 40 })), async (list, sizes) => {
        const { stream, toCaisson } = connect();
        const received = buffer(stream);
        for (const part of cut(Buffer.concat(list.map(([channel, data]) => frame(channel, data))), sizes)) {
          toCaisson.write(part);
        }
        toCaisson.end();
        const of = (wanted: Channel): Buffer =>
          Buffer.concat(list.filter(([channel]) => channel === wanted).map(([, data]) => data));
        expect((await received).equals(of('stdout'))).toBe(true);
        expect(stream.stderr).toBe(of('stderr').subarray(-1024).toString());
      }),
    );
  });

  test('stops reading the connection when nobody reads it', async () => {
    const { stream, toCaisson } = connect();
    const payload = Buffer.alloc(32 * 1024);
    let taken = 0;
    for (let i = 0; i < 100; i++) toCaisson.write(frame('stdout', payload), () => taken++);
    await once(stream, 'readable');
    while (stream.readableLength < stream.readableHighWaterMark) await new Promise(setImmediate);
    for (let i = 0; i < 100; i++) await new Promise(setImmediate); // every turn in which more could be read
    expect(stream.readableLength).toBeLessThan(512 * 1024);
    expect(taken).toBeLessThan(50);
    toCaisson.end();
    expect((await buffer(stream)).length).toBe(100 * payload.length);
  });

  test('calls a write done only when the connection has taken it', async () => {
    const { stream, fromCaisson } = connect();
    let done = 0;
    for (let i = 0; i < 100; i++) stream.write(Buffer.alloc(32 * 1024), () => done++);
    for (let i = 0; i < 100; i++) await new Promise(setImmediate);
    expect(done).toBeLessThan(50);
    stream.end();
    expect((await buffer(fromCaisson)).length).toBe(100 * 32 * 1024);
    expect(done).toBe(100);
  });

  test('ends with the process, both ways', async () => {
    const { stream, toCaisson, fromCaisson } = connect();
    toCaisson.end(frame('stdout', Buffer.from('bye')));
    expect((await buffer(stream)).toString()).toBe('bye');
    await buffer(fromCaisson);
  });

  test('fails with WIRE_LOST when the connection ends in the middle of a frame', async () => {
    const { stream, toCaisson } = connect();
    toCaisson.end(frame('stdout', Buffer.from('cut')).subarray(0, 9));
    await expect(buffer(stream)).rejects.toMatchObject({ code: 'WIRE_LOST' });
  });

  test('fails with WIRE_LOST when the connection fails', async () => {
    const { stream, connection } = connect();
    connection.destroy(new Error('reset'));
    await expect(buffer(stream)).rejects.toMatchObject({ code: 'WIRE_LOST' });
  });

  test('is open when its output says so, and not when it ends before', async () => {
    const opening = connect(() => true);
    opening.toCaisson.write(frame('stderr', Buffer.from('ready')));
    await opening.stream.opened;
    const refused = connect(() => false);
    refused.toCaisson.end(frame('stdout', Buffer.from('no such program')));
    await expect(refused.stream.opened).rejects.toMatchObject({ code: 'WIRE_LOST' });
    expect((await buffer(refused.stream)).toString()).toBe('no such program');
  });

  test('closes the connection when it is destroyed', async () => {
    const { stream, connection } = connect(() => false);
    stream.destroy();
    await expect(stream.opened).rejects.toMatchObject({ code: 'WIRE_LOST' });
    expect(connection.destroyed).toBe(true);
  });
});
