import { expect, test } from 'vitest';
import { newAgentId } from '../../../src/kernel/ids.ts';
import type { ContractContext } from './subject.ts';

const mebibyte = 1024 ** 2;

/** What workspace and home take of the disk, and what a sandbox takes at the moment. */
export function diskContract(context: ContractContext): void {
  test('the disk of a sandbox is told by the blocks that are allocated', async () => {
    const { provider, subject } = context;
    const agentId = await context.runningAgent();
    const before = (await provider.measureDisk(agentId)).usedBytes;
    // 8 MiB, twice by name; a hole of 1 GiB with nothing in it.
    await subject.run(agentId, 'head -c 8388608 /dev/urandom > a && ln a b && truncate -s 1G hole && sync');
    const { method, usedBytes } = await provider.measureDisk(agentId);
    expect(method).not.toBe('');
    expect(usedBytes - before).toBeGreaterThanOrEqual(8 * mebibyte);
    expect(usedBytes - before).toBeLessThan(9 * mebibyte);
    await subject.run(agentId, 'rm a b hole');
    expect((await provider.measureDisk(agentId)).usedBytes).toBeLessThan(before + mebibyte);
  });

  test('files without content count too, as they take what every file of the disk needs', async () => {
    const { provider, subject } = context;
    const agentId = await context.runningAgent();
    await subject.run(agentId, 'mkdir many && cd many && seq 1 2000 | xargs touch');
    expect((await provider.measureDisk(agentId)).usedBytes).toBeGreaterThanOrEqual(2_000 * 4_096);
  });

  test('a closed folder hides nothing, and a link leads nowhere', async () => {
    const { provider, subject } = context;
    const agentId = await context.runningAgent();
    const make = 'mkdir shut && head -c 4194304 /dev/urandom > shut/file && ln -s / outside && sync && chmod 000 shut';
    await subject.run(agentId, make);
    const { usedBytes } = await provider.measureDisk(agentId);
    expect(usedBytes).toBeGreaterThanOrEqual(4 * mebibyte);
    expect(usedBytes).toBeLessThan(6 * mebibyte);
    await subject.run(agentId, 'chmod 700 shut');
  });

  test('the disk of a stopped sandbox is told too, and that of a missing one is none', async () => {
    const { provider, subject } = context;
    const agentId = await context.runningAgent();
    await subject.run(agentId, 'head -c 4194304 /dev/urandom > file && sync');
    await provider.stop(agentId);
    expect((await provider.measureDisk(agentId)).usedBytes).toBeGreaterThanOrEqual(4 * mebibyte);
    await provider.destroy(agentId);
    expect((await provider.measureDisk(agentId)).usedBytes).toBe(0);
    expect((await provider.measureDisk(newAgentId())).usedBytes).toBe(0);
  });

  test('whoever gives up measuring is not kept', async () => {
    const agentId = await context.runningAgent();
    const reason = new Error('given up');
    await expect(context.provider.measureDisk(agentId, AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  test('a running sandbox tells its load, a stopped and a missing one have none', async () => {
    const { provider } = context;
    const agentId = await context.runningAgent();
    const load = await provider.load(agentId);
    expect(load?.pids).toBeGreaterThan(0);
    expect(load?.memoryBytes).toBeGreaterThan(0);
    expect(load?.cpus).toBeGreaterThanOrEqual(0);
    await provider.stop(agentId);
    expect(await provider.load(agentId)).toBeUndefined();
    expect(await provider.load(newAgentId())).toBeUndefined();
  });
}
