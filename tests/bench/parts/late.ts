import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AgentEvent, CaissonClient } from '../../../src/client/index.ts';
import { openStorage } from '../../../src/controlplane/storage/open-storage.ts';
import { agentIdSchema, conversationIdSchema, newMessageId, newRunId } from '../../../src/kernel/ids.ts';
import { ms, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { startControlPlane } from '../rig/control-plane.ts';
import { median } from '../rig/statistics.ts';

const count = 10_000;
const rounds = 9;

/**
 * A subscriber that comes when 10,000 events are stored, and reads them through the typed client. The control plane was
 * started anew, so none of them is in its memory. Peer: the same events as lines of JSON in one plain HTTP answer, each
 * line parsed.
 */
export async function late(context: BenchContext): Promise<readonly Row[]> {
  const dataDir = await context.directory('late');
  const agentId = await storeEvents(context, dataDir);
  await using controlPlane = await startControlPlane(context, { dataDir });
  const { client } = controlPlane;
  const { seq: head } = await client.agents.status.query({ agentId });
  const first = await read(client, agentId, head - count);
  await using plain = await servePlainly(first.events);
  const ours: number[] = [];
  const peer: number[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push((await read(client, agentId, head - count)).ms);
    peer.push(await plain.read());
  }
  return [
    {
      what: `a late subscriber reads ${count} events, median (the very first time: ${ms(first.ms)})`,
      ours: ms(median(ours)),
      floor: `${ms(median(peer))} (the same JSON as one HTTP answer)`,
      comparison: `${(median(ours) / median(peer)).toFixed(1)} ×`,
      target: '≤ 500 ms',
      met: median(ours) <= 500,
    },
  ];
}

/** An agent with deltas like those of a long answer, written by the store itself while no control plane runs. */
async function storeEvents(context: BenchContext, dataDir: string): Promise<string> {
  const controlPlane = await startControlPlane(context, { dataDir });
  const agent = await controlPlane.client.agents.create.mutate({ name: 'late', wait: true });
  const conversation = await controlPlane.client.conversations.open.mutate({ agentId: agent.id });
  await controlPlane.stop();
  const storage = await openStorage(dataDir);
  const place = { conversationId: conversationIdSchema.parse(conversation.id), runId: newRunId(), at: Date.now() };
  const messageId = newMessageId();
  await storage.agents.transaction(async (tx) => {
    const drafts = Array.from({ length: count }, (_, index) => ({
      ...place,
      data: {
        type: 'message.delta',
        messageId,
        delta: `${String(index).padStart(7, '0')}\n`,
        offset: index * 8,
      } as const,
    }));
    await tx.appendEvents(agentIdSchema.parse(agent.id), drafts);
  });
  await storage.close();
  return agent.id;
}

async function read(
  client: CaissonClient,
  agentId: string,
  after: number,
): Promise<{ ms: number; events: AgentEvent[] }> {
  const events: AgentEvent[] = [];
  const startedAt = performance.now();
  for await (const event of client.subscribe({ agentId, after })) {
    events.push(event);
    if (events.length === count) break;
  }
  return { ms: performance.now() - startedAt, events };
}

async function servePlainly(
  events: readonly AgentEvent[],
): Promise<AsyncDisposable & { readonly read: () => Promise<number> }> {
  const body = events.map((event) => `${JSON.stringify(event)}\n`).join('');
  const server = createServer((_request, response) => void response.end(body)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return {
    async read() {
      const startedAt = performance.now();
      const text = await (await fetch(`http://127.0.0.1:${address.port}/`)).text();
      const lines = text
        .trimEnd()
        .split('\n')
        .map((line): unknown => JSON.parse(line));
      if (lines.length !== count) throw new Error(`${lines.length} lines came`);
      return performance.now() - startedAt;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
