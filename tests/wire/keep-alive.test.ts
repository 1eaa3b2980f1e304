import { Duplex, duplexPair } from 'node:stream';
import { expect, test } from 'vitest';
import { connectHttp2 } from '../../src/wire/connect-http2.ts';
import { GuestClient } from '../../src/wire/guest-client.ts';
import { inwardServerOptions } from '../../src/wire/http2-settings.ts';
import { serveHttp2 } from '../../src/wire/serve-http2.ts';
import { Transport } from '../../src/wire/transport.ts';
import type { Clock } from '../../src/kernel/clock.ts';

/** Takes everything, says nothing. */
const deadPeer = (): Duplex => new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });

/** Time that passes only when the test says so. */
class ManualClock implements Clock {
  #now = 0;
  readonly #timers = new Map<() => void, number>();

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    return this.#now;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    this.#timers.set(callback, this.#now + delayMs);
    return () => this.#timers.delete(callback);
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const [callback, due] of this.#timers) {
      if (due > this.#now) continue;
      this.#timers.delete(callback);
      callback();
    }
  }

  get pending(): number {
    return this.#timers.size;
  }
}

test('a peer that swallows everything is found, and open calls are rejected with WIRE_LOST', async () => {
  const client = new GuestClient(deadPeer(), { keepAlive: { intervalMs: 5, timeoutMs: 20 } });
  await expect(client.health()).rejects.toMatchObject({ code: 'WIRE_LOST' });
  await client.closed;
  await expect(client.health()).rejects.toMatchObject({ code: 'WIRE_LOST' });
});

test('a dead session says why it ended, and its byte stream is destroyed', async () => {
  const duplex = deadPeer();
  const wire = connectHttp2(new Transport(duplex), { intervalMs: 5, timeoutMs: 20 });
  expect(await wire.closed).toMatchObject({ code: 'WIRE_LOST' });
  expect(duplex.destroyed).toBe(true);
});

test('a peer that answers is kept, for as many pings as there are', async () => {
  const [near, far] = duplexPair();
  const server = serveHttp2(new Transport(far), { handler: () => undefined, bounds: inwardServerOptions });
  const clock = new ManualClock();
  const wire = connectHttp2(new Transport(near), { intervalMs: 3_000, timeoutMs: 6_000, clock });
  for (let round = 0; round < 20; round++) {
    clock.advance(3_000);
    await new Promise((resolve) => wire.session.ping(resolve)); // pings are answered in order
    expect(clock.pending).toBe(1); // only the next ping: the last one was answered
  }
  expect(wire.session.destroyed).toBe(false);
  await wire.close();
  await server.closed;
  expect(clock.pending).toBe(0);
});

test('the end of the byte stream ends the session in good order', async () => {
  const [near, far] = duplexPair();
  const server = serveHttp2(new Transport(far), { handler: () => undefined, bounds: inwardServerOptions });
  const wire = connectHttp2(new Transport(near));
  far.destroy();
  await wire.closed;
  await server.closed;
  expect(wire.session.destroyed).toBe(true);
});
