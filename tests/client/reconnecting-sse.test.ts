import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createEndpoint } from '../../src/client/endpoint.ts';
import { followLogs } from '../../src/client/processes/follow-logs.ts';
import { subscribe } from '../../src/client/subscription.ts';
import { watchFiles } from '../../src/client/watch-files.ts';
import { CaissonError } from '../../src/kernel/errors.ts';
import { newAgentId, newProcessId } from '../../src/kernel/ids.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const encoder = new TextEncoder();
const agentId = newAgentId();

/** A control plane whose nth connection sends this, and breaks soon after. */
function breaking(sent: (connection: number) => string | Error) {
  let connections = 0;
  const fetch: typeof globalThis.fetch = async () => {
    const text = sent(++connections);
    if (text instanceof Error) throw text;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(encoder.encode(text));
        setTimeout(() => controller.error(new Error('cut')), 100);
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  };
  return createEndpoint({ url: 'http://control-plane', apiKey: 'ck_x', fetch });
}
type Plane = ReturnType<typeof breaking>;

const frame = (id: string, item: object): string => `data: ${JSON.stringify(item)}\nid: ${id}\n\n`;
const ping = 'event: ping\ndata:\n\n';
const batch = (n: number) => {
  const chunks = [{ stream: 'stdout', offset: n - 1, data: 'x', encoding: 'utf8' }];
  return frame(String(n), { lost: 0, next: n, ended: null, chunks });
};

const subscriptions = [
  {
    name: 'subscribe',
    open: (plane: Plane) => subscribe(plane, { agentId }),
    item: (n: number) => frame(String(n), { seq: n, agentId, type: 'harness.other' }),
  },
  {
    name: 'watchFiles',
    open: (plane: Plane) => watchFiles(plane, { agentId, path: '' }),
    item: (n: number) => frame(`a.${n}`, { type: 'ready', cursor: `a.${n}`, resumed: true }),
  },
  {
    name: 'followLogs',
    open: (plane: Plane) => followLogs(plane, { agentId, processId: newProcessId(), follow: true }),
    item: batch,
  },
] as const;

/** What a loop comes to while time passes: how many items it took, and its error. */
async function outcome(items: AsyncIterable<unknown>, { takes, forMs }: { takes: number; forMs: number }) {
  const seen: { items: number; error?: unknown } = { items: 0 };
  const loop = (async () => {
    for await (const _item of items) {
      if (++seen.items === takes) break;
      await new Promise((resolve) => setTimeout(resolve, forMs));
    }
  })().catch((error: unknown) => void (seen.error = error));
  await vi.advanceTimersByTimeAsync(takes * (forMs + 60_000));
  await loop;
  return seen;
}

describe.each(subscriptions)('$name', ({ name, open, item }) => {
  test('a consumer that takes longer for an item than a control plane may be away is no absence', async () => {
    expect(await outcome(open(breaking(item)), { takes: 3, forMs: 400_000 })).toEqual({ items: 3 });
  });

  test('a connection that was quiet but alive is opened again', async () => {
    const plane = breaking((connection) => (connection < 3 ? ping : item(1)));
    expect(await outcome(open(plane), { takes: 1, forMs: 0 })).toEqual({ items: 1 });
  });

  test('a control plane that stays away is given up after 5 minutes', async () => {
    const plane = breaking((connection) => (connection === 1 ? item(1) : new Error('refused')));
    expect(await outcome(open(plane), { takes: 2, forMs: 400_000 })).toMatchObject({
      items: 1,
      error: { code: 'CONTROL_PLANE_UNREACHABLE' },
    });
  });

  test(`a control plane that is away at first is ${name === 'subscribe' ? 'waited for' : 'told of at once'}`, async () => {
    const plane = breaking((connection) => (connection === 1 ? new Error('refused') : item(1)));
    const seen = await outcome(open(plane), { takes: 1, forMs: 0 });
    if (name === 'subscribe') expect(seen).toEqual({ items: 1 });
    else expect(seen).toMatchObject({ items: 0, error: { code: 'CONTROL_PLANE_UNREACHABLE' } });
  });

  test('what a proxy says while the control plane is down is waited out, another program is not', async () => {
    for (const status of [502, 404]) {
      let connections = 0;
      const fetch: typeof globalThis.fetch = async () =>
        ++connections === 2
          ? new Response('no', { status, headers: { 'content-type': 'text/html' } })
          : new Response(item(connections > 2 ? 2 : 1), { headers: { 'content-type': 'text/event-stream' } });
      const plane = createEndpoint({ url: 'http://control-plane', apiKey: 'ck_x', fetch });
      const seen = await outcome(open(plane), { takes: 2, forMs: 0 });
      if (status === 502) expect(seen).toEqual({ items: 2 });
      else expect(seen).toMatchObject({ items: 1, error: { details: { status } } });
    }
  });
});

test('a follower of logs is told at once that the sandbox has stopped: its process does not come back with it', async () => {
  const caisson = new CaissonError('SANDBOX_NOT_RUNNING', 'It is not running.').toJSON();
  const refusal = `event: serialized-error\ndata: ${JSON.stringify({ message: '', code: -32_603, data: { caisson } })}\n\n`;
  const plane = breaking((connection) => (connection === 1 ? batch(1) : refusal));
  const log = followLogs(plane, { agentId, processId: newProcessId(), follow: true });
  expect(await outcome(log, { takes: 6, forMs: 0 })).toMatchObject({ items: 1, error: { code: 'PROCESS_NOT_FOUND' } });
});
