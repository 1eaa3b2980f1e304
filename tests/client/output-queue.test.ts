import { describe, expect, test } from 'vitest';
import { OutputQueue } from '../../src/client/output-queue.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (chunk: Uint8Array | undefined): string => new TextDecoder().decode(chunk);

describe('an output queue', () => {
  test('gives chunk by chunk, and reports each when it is taken, not before', async () => {
    const queue = new OutputQueue();
    const taken: string[] = [];
    for (const word of ['one', 'two']) queue.push(bytes(word), () => taken.push(word));
    const reader = queue.stream.getReader();
    expect(taken).toEqual([]);
    expect(text((await reader.read()).value)).toBe('one');
    expect(taken).toEqual(['one']);
    expect(text((await reader.read()).value)).toBe('two');
    const third = reader.read();
    queue.push(bytes('three'), () => taken.push('three'));
    expect(text((await third).value)).toBe('three');
    expect(taken).toEqual(['one', 'two', 'three']);
  });

  test('ends after what was pushed, in good order or with the error', async () => {
    const good = new OutputQueue();
    good.push(bytes('last'), () => undefined);
    good.end();
    good.end(new Error('too late'));
    expect(await new Response(good.stream).text()).toBe('last');
    const bad = new OutputQueue();
    bad.push(bytes('last'), () => undefined);
    bad.end(new Error('broken'));
    const reader = bad.stream.getReader();
    expect(text((await reader.read()).value)).toBe('last');
    await expect(reader.read()).rejects.toThrow('broken');
  });

  test('tells a reader that waits, and one that never read, of the end', async () => {
    const waiting = new OutputQueue();
    const reading = waiting.stream.getReader().read();
    waiting.end();
    expect(await reading).toEqual({ done: true, value: undefined });
    const unread = new OutputQueue();
    unread.end();
    await unread.stream.getReader().closed;
  });

  test('that is cancelled holds nothing back: what waits, and what still comes, counts as taken', async () => {
    const taken: string[] = [];
    const queue = new OutputQueue(() => taken.push('cancelled'));
    queue.push(bytes('one'), () => taken.push('one'));
    await queue.stream.cancel();
    queue.push(bytes('two'), () => taken.push('two'));
    queue.end(new Error('nobody hears of it'));
    expect(taken).toEqual(['cancelled', 'one', 'two']);
  });

  test('that is cancelled while its reader waits lets it go', async () => {
    const queue = new OutputQueue();
    const reader = queue.stream.getReader();
    const reading = reader.read();
    await reader.cancel();
    expect((await reading).done).toBe(true);
  });
});
