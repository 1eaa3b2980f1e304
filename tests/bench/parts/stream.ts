import { streamedDeltas } from '../../doubles/scripted-model.ts';
import { percent, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { startControlPlane } from '../rig/control-plane.ts';
import { LiveConversation } from '../rig/conversation.ts';
import { HostCodex } from '../rig/host-codex.ts';
import { median } from '../rig/statistics.ts';

const warmUps = 2;
const rounds = 9;
const chunks = 8_192;
const size = 8;
const expected = [...streamedDeltas(chunks, size)].join('');

/**
 * An answer of 8,192 chunks of 8 characters, as fast as the model can send them. Ours: from the call of `runs.start` until
 * a live subscriber has been given the last character; host: from `session/prompt` until the ACP SDK has delivered the
 * last chunk. Every round is a new conversation that has had one short turn, so that the requests do not grow. Every
 * character is checked. The guest may join deltas while the wire is busy, so the number of events is told as well.
 */
export async function stream(context: BenchContext): Promise<readonly Row[]> {
  await using controlPlane = await startControlPlane(context);
  const { client } = controlPlane;
  const agent = await client.agents.create.mutate({ name: 'stream', wait: true });
  await using codex = await HostCodex.start(await context.newCodexHome());
  const ours: number[] = [];
  const host: number[] = [];
  const events: number[] = [];
  for (let round = -warmUps; round < rounds; round++) {
    const lived = await liveStream(client, agent.id);
    const hostMs = await hostStream(codex);
    if (round < 0) continue;
    ours.push(lived.ms);
    host.push(hostMs);
    events.push(lived.events);
  }
  const rate = (times: readonly number[]): number => chunks / (median(times) / 1000);
  const share = rate(ours) / rate(host);
  return [
    {
      what: `${chunks} chunks of ${size} characters to a live subscriber, median rate`,
      ours: `${rate(ours).toFixed(0)} chunks/s in ${median(events)} events`,
      floor: `${rate(host).toFixed(0)} chunks/s (Codex on the host)`,
      comparison: percent(share),
      target: '≥ 60 %',
      met: share >= 0.6,
    },
  ];
}

async function liveStream(
  client: Parameters<typeof LiveConversation.open>[0],
  agentId: string,
): Promise<{ readonly ms: number; readonly events: number }> {
  await using conversation = await LiveConversation.open(client, agentId);
  await conversation.turn('stream 1 x 8');
  const { text, lastDeltaMs, deltas } = await conversation.turn(`stream ${chunks} x ${size}`);
  check(text, 'the subscriber');
  return { ms: lastDeltaMs, events: deltas };
}

async function hostStream(codex: HostCodex): Promise<number> {
  const sessionId = await codex.openSession();
  await codex.setTitle(sessionId);
  codex.onText = () => undefined;
  await codex.prompt(sessionId, 'stream 1 x 8');
  const pieces: string[] = [];
  let lastMs = 0;
  const startedAt = performance.now();
  codex.onText = (text) => {
    pieces.push(text);
    lastMs = performance.now() - startedAt;
  };
  await codex.prompt(sessionId, `stream ${chunks} x ${size}`);
  check(pieces.join(''), 'the host');
  return lastMs;
}

function check(text: string, whose: string): void {
  if (text !== expected)
    throw new Error(`${whose} got ${text.length} characters that are not those that the model sent`);
}
