import { setTimeout as pause } from 'node:timers/promises';
import type { CaissonClient } from '../../../src/client/index.ts';
import { type AgentId, agentIdSchema } from '../../../src/kernel/ids.ts';
import type { SandboxProvider } from '../../../src/sandbox-providers/contract/index.ts';
import { inside } from '../../e2e/support/inside.ts';
import { context as explain, difference, ms, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { startControlPlane } from '../rig/control-plane.ts';
import { LiveConversation } from '../rig/conversation.ts';
import { median } from '../rig/statistics.ts';

const message = 'stream 4 x 8';
const rounds = 40;
const warmUps = 5;
const restMs = 10;

/**
 * A checkpoint before each run, as the guest timed it from the start of the turn, and what it adds to a warm turn: beside
 * an agent whose checkpoints cannot be taken, since a file is where their folder would be. Floor: `git add -A` and `git
 * status` of the same files in the same sandbox, as they take from the start of the process to its end.
 */
export async function changes(context: BenchContext): Promise<readonly Row[]> {
  await using controlPlane = await startControlPlane(context);
  const { client } = controlPlane;
  await using kept = await Subject.open(context, client, 'kept');
  await using bare = await Subject.open(context, client, 'bare');
  await bare.run('rm -rf ~/.caisson && touch ~/.caisson');
  for (let round = 0; round < warmUps; round++) {
    await kept.turn();
    await bare.turn();
  }
  const rows: Row[] = [await addedLatency(kept, bare, 'an empty workspace')];
  let present = 0;
  for (const files of [1_000, 20_000]) {
    for (const subject of [kept, bare]) await subject.run(makeFiles(present, files));
    present = files;
    context.log(`checkpoints of ${files} files`);
    const count = files.toLocaleString('en');
    const first = await kept.checkpointMs();
    const added = await kept.timed('rm -rf /tmp/floor && git init -q --bare /tmp/floor', gitOverFloor('add -A'));
    rows.push(
      explain({
        what: `first checkpoint of ${count} files`,
        ours: ms(first),
        floor: `${ms(added)} (git add -A)`,
        comparison: `${(first / added).toFixed(2)}×`,
      }),
    );
    const again: number[] = [];
    const status: number[] = [];
    for (let round = 0; round < 15; round++) {
      again.push(await kept.checkpointMs());
      status.push(await kept.timed('true', gitOverFloor('status --porcelain')));
    }
    rows.push(
      explain({
        what: `checkpoint of ${count} files where nothing changed, p50`,
        ours: ms(median(again)),
        floor: `${ms(median(status))} (git status)`,
        comparison: difference(median(again) - median(status)),
      }),
      await addedLatency(kept, bare, `${count} files`),
    );
  }
  return rows;
}

const gitOverFloor = (command: string): string => `git --git-dir=/tmp/floor --work-tree=/workspace ${command}`;

/** From so many files to so many, of some 2 KB, a hundred in a folder. */
function makeFiles(from: number, to: number): string {
  return `node -e '
    const { mkdirSync, writeFileSync } = require("node:fs");
    for (let i = ${from}; i < ${to}; i++) {
      const folder = "/workspace/d" + Math.floor(i / 100);
      mkdirSync(folder, { recursive: true });
      writeFileSync(folder + "/f" + i + ".ts", ("export const line" + i + " = " + Math.random() + ";\\n").repeat(40));
    }'`;
}

async function addedLatency(kept: Subject, bare: Subject, where: string): Promise<Row> {
  const ours: number[] = [];
  const without: number[] = [];
  for (let round = -2; round < rounds; round++) {
    const one = await kept.turn();
    const other = await bare.turn();
    if (round < 0) continue;
    ours.push(one);
    without.push(other);
  }
  return explain({
    what: `warm prompt round trip with a checkpoint of ${where}, p50`,
    ours: ms(median(ours)),
    floor: `${ms(median(without))} (without a checkpoint)`,
    comparison: difference(median(ours) - median(without)),
  });
}

/** An agent with a conversation, and its sandbox seen past the control plane. */
class Subject implements AsyncDisposable {
  readonly #provider: SandboxProvider;
  readonly #client: CaissonClient;
  readonly #agentId: AgentId;
  readonly #conversation: LiveConversation;

  private constructor(
    provider: SandboxProvider,
    client: CaissonClient,
    agentId: AgentId,
    conversation: LiveConversation,
  ) {
    this.#provider = provider;
    this.#client = client;
    this.#agentId = agentId;
    this.#conversation = conversation;
  }

  static async open({ provider }: BenchContext, client: CaissonClient, name: string): Promise<Subject> {
    const { id } = await client.agents.create.mutate({ name, wait: true });
    return new Subject(provider, client, agentIdSchema.parse(id), await LiveConversation.open(client, id));
  }

  async turn(): Promise<number> {
    const { endedMs } = await this.#conversation.turn(message);
    await pause(restMs);
    return endedMs;
  }

  /** Of one more turn. */
  async checkpointMs(): Promise<number> {
    await this.turn();
    const { items } = await this.#client.changes.checkpoints.query({ agentId: this.#agentId });
    const [newest] = items;
    if (newest?.failure !== null) throw new Error(`no checkpoint: ${newest?.failure ?? 'none at all'}`);
    return newest.durationMs;
  }

  async run(script: string): Promise<string> {
    const { exitCode, stdout, stderr } = await inside(this.#provider, this.#agentId, script);
    if (exitCode !== 0) throw new Error(`${script} ended with ${exitCode}: ${stderr}`);
    return stdout;
  }

  /** Milliseconds of `command`, timed in the sandbox, after `first`. */
  async timed(first: string, command: string): Promise<number> {
    const clock = `${first}; s=$(date +%s%N); ${command} >/dev/null; e=$(date +%s%N); echo $((e - s))`;
    return Number(await this.run(clock)) / 1e6;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#conversation[Symbol.asyncDispose]();
  }
}
