import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createCaissonClient } from '../../src/client/index.ts';
import { newAgentId } from '../../src/kernel/ids.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const encoder = new TextEncoder();
const ready = JSON.stringify({ type: 'ready', cursor: 'a.1', resumed: false });

/** A control plane whose watches hold for so long, and how many of them were opened. */
function breakingAfter(holdMs: number) {
  let opened = 0;
  const fetch: typeof globalThis.fetch = async (_url, init) => {
    opened++;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(encoder.encode(`data: ${ready}\nid: a.1\n\n`));
        const pings = setInterval(() => controller.enqueue(encoder.encode('event: ping\ndata:\n\n')), 10_000);
        const cut = setTimeout(() => end(new Error('cut')), holdMs);
        const end = (reason: unknown): void => {
          clearInterval(pings);
          clearTimeout(cut);
          controller.error(reason);
        };
        init?.signal?.addEventListener('abort', () => end(init.signal?.reason));
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  };
  return { fetch, opened: () => opened };
}

async function watchFor(ms: number, fetch: typeof globalThis.fetch): Promise<void> {
  const client = createCaissonClient({ url: 'http://control-plane', apiKey: 'ck_x', fetch });
  const leave = new AbortController();
  const watching = (async () => {
    for await (const item of client.files.watch({ agentId: newAgentId(), path: '', signal: leave.signal })) {
      expect(item.type).toBe('ready');
    }
  })();
  await vi.advanceTimersByTimeAsync(ms);
  leave.abort();
  await vi.advanceTimersByTimeAsync(20_000);
  await watching;
}

test('a watch that breaks as soon as it is ready is opened less and less often', async () => {
  const plane = breakingAfter(1);
  await watchFor(120_000, plane.fetch);
  expect(plane.opened()).toBeLessThan(40);
});

test('a watch that was quiet for longer than a control plane may be away is opened again', async () => {
  const plane = breakingAfter(400_000);
  await watchFor(900_000, plane.fetch);
  expect(plane.opened()).toBe(3);
});
