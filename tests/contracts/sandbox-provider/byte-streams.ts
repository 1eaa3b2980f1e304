import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { until } from '../../until.ts';
import { echoed } from './echoed.ts';
import type { ContractContext } from './subject.ts';

const mebibyte = 1024 ** 2;

/** What `connect` gives. */
export function byteStreamContract(context: ContractContext): void {
  test('32 MiB come back byte for byte, on both channels at once', async () => {
    const agentId = await context.runningAgent();
    const streams = [
      await context.provider.connect(agentId, 'inward'),
      await context.provider.connect(agentId, 'outward'),
    ];
    await Promise.all(
      streams.map(async (stream) => {
        const block = randomBytes(mebibyte + 7);
        const sent = createHash('sha256');
        const received = digest(stream);
        for (let i = 0; i < 32; i++) {
          sent.update(block);
          if (!stream.write(block)) await once(stream, 'drain');
        }
        stream.end(); // half of it: the rest is still on its way back
        expect(await received).toBe(sent.digest('hex'));
      }),
    );
  });

  test('a reader that stops stops the writer, and loses nothing', async () => {
    const agentId = await context.runningAgent();
    const stream = await context.provider.connect(agentId, 'inward');
    const probe = await context.provider.connect(agentId, 'outward');
    const block = randomBytes(65_536);
    const blocks = 1024;
    let taken = 0;
    for (let i = 0; i < blocks; i++) stream.write(block, () => taken++);
    // Stopped: nothing more is taken while another connection of the same sandbox gets 50 answers.
    await until('the writer stops', async () => {
      const before = taken;
      for (let i = 0; i < 50; i++) await echoed(probe, Buffer.from('ping'));
      return taken === before;
    });
    expect(taken).toBeLessThan(blocks / 2);
    const received = digest(stream);
    stream.end();
    const sent = createHash('sha256');
    for (let i = 0; i < blocks; i++) sent.update(block);
    expect(await received).toBe(sent.digest('hex'));
    probe.destroy();
  });

  test('several connections to one channel do not mix', async () => {
    const agentId = await context.runningAgent();
    const streams = await Promise.all(Array.from({ length: 6 }, () => context.provider.connect(agentId, 'inward')));
    const words = streams.map((_, index) => `connection ${index}`);
    const answers = await Promise.all(streams.map((stream, index) => echoed(stream, Buffer.from(words[index] ?? ''))));
    expect(answers).toEqual(words);
    for (const stream of streams) stream.destroy();
  });

  test('destroying a stream ends its pipe in the sandbox', async () => {
    const agentId = await context.runningAgent();
    const probe = await context.provider.connect(agentId, 'outward'); // the guest is up: no process comes by itself any more
    const idle = (await context.subject.processIds(agentId)).length;
    const streams = await Promise.all(Array.from({ length: 3 }, () => context.provider.connect(agentId, 'inward')));
    const [reading, flooded, fresh] = streams;
    reading?.resume();
    flooded?.write(randomBytes(8 * mebibyte)); // more than fits on the way: the pipe is stuck when it is closed
    fresh?.pause();
    for (const stream of streams) stream.destroy();
    await until('the pipes are gone', async () => (await context.subject.processIds(agentId)).length === idle);
    probe.destroy();
  });

  test.for(['kill', 'stop', 'destroy'] as const)('%s of the sandbox ends its streams', async (how) => {
    const agentId = await context.runningAgent();
    const streams = [
      await context.provider.connect(agentId, 'inward'),
      await context.provider.connect(agentId, 'outward'),
    ];
    const closed = streams.map((stream) => whenClosed(stream));
    await (how === 'kill' ? context.subject.kill(agentId) : context.provider[how](agentId));
    await Promise.all(closed);
  });

  test('a caller that gives up connecting gets its reason', async () => {
    const agentId = await context.runningAgent();
    const reason = new Error('given up');
    await expect(context.provider.connect(agentId, 'inward', AbortSignal.abort(reason))).rejects.toBe(reason);
  });
}

async function digest(stream: Duplex): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of stream) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Settles when the stream is over, in peace or with an error. */
async function whenClosed(stream: Duplex): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.once('close', resolve);
  stream.on('error', () => undefined); // a crash may show as one
  stream.resume();
  await promise;
}
