import { randomUUID } from 'node:crypto';
import type { CaissonClient } from '../../../src/client/index.ts';
import { containerOptions } from '../../../src/sandbox-providers/docker/container-options.ts';
import { context as explain, ms, percent, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { startControlPlane } from '../rig/control-plane.ts';
import { LiveConversation } from '../rig/conversation.ts';
import { HostCodex } from '../rig/host-codex.ts';
import { median, timed } from '../rig/statistics.ts';

const rounds = 10;
const crowd = 8;
const crowdRounds = 3;
const message = 'stream 4 x 8';
const allowed = 1.15;

/**
 * From nothing to the first answer. Ours: `agents.create`, `conversations.open` and `runs.start` on a control plane that
 * runs, until a subscriber has `run.completed`. Floor: Docker creates and starts a container of the same options that
 * only sleeps, and then Codex on the host, with a home as new as that of a new agent, is spawned, initialized, given a
 * session and a first prompt; the sum of both.
 * Eight at once: until the last of them is done.
 */
export async function cold(context: BenchContext): Promise<readonly Row[]> {
  await using controlPlane = await startControlPlane(context);
  const { client } = controlPlane;
  const ours: number[] = [];
  const floors: Floor[] = [];
  for (let round = -1; round < rounds; round++) {
    const [agents, [answerMs = 0]] = await answers(client, 1);
    const floor = await coldFloor(context);
    await removeAgents(client, agents);
    if (round < 0) continue;
    ours.push(answerMs);
    floors.push(floor);
  }
  const crowds = { ours: [] as number[], floor: [] as number[] };
  for (let round = 0; round < crowdRounds; round++) {
    const [agents, times] = await answers(client, crowd);
    crowds.ours.push(Math.max(...times));
    await removeAgents(client, agents);
    crowds.floor.push(await crowdFloor(context));
  }
  const compare = (what: string, a: number, b: number, of: string): Row => ({
    what,
    ours: ms(a),
    floor: `${ms(b)} (${of})`,
    comparison: percent(a / b),
    target: '≤ 115 %',
    met: a / b <= allowed,
  });
  const container = median(floors.map((floor) => floor.containerMs));
  const harness = median(floors.map((floor) => floor.harnessMs));
  const sum = median(floors.map((floor) => floor.containerMs + floor.harnessMs));
  return [
    compare('nothing → first answer, median', median(ours), sum, 'container + harness alone'),
    explain({
      what: 'for comparison: the two parts of that floor',
      ours: '',
      floor: `${ms(container)} container, ${ms(harness)} harness`,
      comparison: '',
    }),
    compare(
      `the same, ${crowd} agents at once, the last one`,
      median(crowds.ours),
      median(crowds.floor),
      `${crowd} at once`,
    ),
  ];
}

interface Floor {
  readonly containerMs: number;
  readonly harnessMs: number;
}

/** New agents at the same time, each up to its first answer: their ids, and the time that each took. */
async function answers(client: CaissonClient, count: number): Promise<[readonly string[], readonly number[]]> {
  const startedAt = performance.now();
  const all = await Promise.all(
    Array.from({ length: count }, async (): Promise<[string, number]> => {
      const agent = await client.agents.create.mutate({ name: `cold-${randomUUID().slice(0, 8)}` });
      const { id: conversationId } = await client.conversations.open.mutate({ agentId: agent.id });
      await using conversation = new LiveConversation(client, { agentId: agent.id, conversationId }, 0);
      await conversation.turn(message);
      return [agent.id, performance.now() - startedAt];
    }),
  );
  return [all.map(([id]) => id), all.map(([, time]) => time)];
}

async function removeAgents(client: CaissonClient, agents: readonly string[]): Promise<void> {
  for (const agentId of agents) await client.agents.delete.mutate({ agentId });
}

/** The two parts one after the other. The container stays until both are measured, and only sleeps. */
async function coldFloor(context: BenchContext): Promise<Floor> {
  await using bed = await makeBed(context);
  const containerMs = await timed(bed.startContainer);
  return { containerMs, harnessMs: await timed(bed.answerOnce) };
}

/** Both parts, several at once, until the last is done. */
async function crowdFloor(context: BenchContext): Promise<number> {
  await using beds = new AsyncDisposableStack();
  const all = await Promise.all(Array.from({ length: crowd }, () => makeBed(context)));
  for (const bed of all) beds.use(bed);
  return await timed(() =>
    Promise.all(
      all.map(async ({ startContainer, answerOnce }) => {
        await startContainer();
        await answerOnce();
      }),
    ),
  );
}

/** What one floor needs beforehand. */
async function makeBed({
  docker,
  instance,
  provider,
  sandboxSpec,
  newCodexHome,
}: BenchContext): Promise<
  AsyncDisposable & { readonly startContainer: () => Promise<void>; readonly answerOnce: () => Promise<void> }
> {
  const spec = sandboxSpec();
  const codexHome = await newCodexHome();
  const options = { ...containerOptions(spec, instance, randomUUID()), Entrypoint: ['sleep', 'infinity'] };
  let codex: HostCodex | undefined;
  return {
    startContainer: async () => await (await docker.createContainer(options)).start(),
    answerOnce: async () => {
      codex = await HostCodex.start(codexHome);
      await codex.prompt(await codex.openSession(), message);
    },
    [Symbol.asyncDispose]: async () => {
      await codex?.[Symbol.asyncDispose]();
      await provider.destroy(spec.agentId);
    },
  };
}
