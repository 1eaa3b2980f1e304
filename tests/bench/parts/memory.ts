import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { CaissonClient } from '../../../src/client/index.ts';
import { context as explain, megabytes, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { startControlPlane } from '../rig/control-plane.ts';
import { settledBytes } from '../rig/memory.ts';

const agents = 10;
const idleLimit = 120e6;
const agentLimit = 1e6;
const collector = join(import.meta.dirname, '../rig/collect-on-signal.ts');

/**
 * Resident memory. Idle: a control plane that was just started, as `npm start` does it for the second time. Further agents: another one, whose
 * first agent has answered, grows by ten more that have answered too and are idle; a tenth of that growth. Its garbage is
 * collected on a signal before each look. Floor: a Node process that does nothing.
 */
export async function memory(context: BenchContext): Promise<readonly Row[]> {
  const bare = await bareNode();
  const idle = await idleControlPlane(context);
  const { first, last, perAgent } = await agentsApart(context);
  return [
    {
      what: 'memory of the idle control plane',
      ours: megabytes(idle),
      floor: `${megabytes(bare)} (Node that does nothing)`,
      comparison: `+${megabytes(idle - bare)}`,
      target: '≤ 120 MB',
      met: idle <= idleLimit,
    },
    {
      what: `each further idle agent, over ${agents}`,
      ours: megabytes(perAgent),
      floor: '',
      comparison: '',
      target: '≤ 1 MB',
      met: perAgent <= agentLimit,
    },
    explain({
      what: `for comparison: with 1 agent and with ${agents + 1}, each after one turn`,
      ours: `${megabytes(first)}, ${megabytes(last)}`,
      floor: '',
      comparison: '',
    }),
  ];
}

async function bareNode(): Promise<number> {
  const child = spawn(process.execPath, ['--eval', 'setInterval(() => undefined, 1e6)'], { stdio: 'ignore' });
  try {
    await once(child, 'spawn');
    return await settledBytes(child.pid ?? 0);
  } finally {
    child.kill();
  }
}

async function idleControlPlane(context: BenchContext): Promise<number> {
  await (await startControlPlane(context)).stop(); // fills the cache of code, as the first start after a change does
  await using controlPlane = await startControlPlane(context);
  return await settledBytes(controlPlane.pid);
}

async function agentsApart(context: BenchContext): Promise<{ first: number; last: number; perAgent: number }> {
  await using controlPlane = await startControlPlane(context, { flags: ['--expose-gc', `--import=${collector}`] });
  const { client, pid } = controlPlane;
  const settled = async (): Promise<number> => {
    await settledBytes(pid);
    process.kill(pid, 'SIGUSR2');
    return await settledBytes(pid);
  };
  await answeringAgent(client, 'first');
  const first = await settled();
  for (let number = 1; number <= agents; number++) await answeringAgent(client, `further-${number}`);
  const last = await settled();
  return { first, last, perAgent: (last - first) / agents };
}

async function answeringAgent(client: CaissonClient, name: string): Promise<void> {
  const { id: agentId } = await client.agents.create.mutate({ name, wait: true });
  const { id: conversationId } = await client.conversations.open.mutate({ agentId });
  const { outcome } = await client.agents.sendMessage.mutate({ agentId, conversationId, message: 'say hi' });
  if (outcome.status !== 'ok') throw new Error(`${name} did not answer: ${JSON.stringify(outcome)}`);
}
