import { existsSync } from 'node:fs';
import { setTimeout as pass } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type AgentId, newAgentId } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { echoed } from './echoed.ts';
import type { ContractContext } from './subject.ts';

/** Bringing up, finding, pausing, stopping and removing. */
export function lifeCycleContract(context: ContractContext): void {
  test('check says what the engine is', async () => {
    expect((await context.provider.check()).description).not.toBe('');
  });

  test('an engine that cannot be reached is PROVIDER_UNAVAILABLE, for every call', async () => {
    const { unreachable } = context.subject;
    const spec = context.newSpec();
    const calls = [
      unreachable.check(),
      unreachable.ensureRunning(spec),
      unreachable.find(spec.agentId),
      unreachable.list(),
      unreachable.stop(spec.agentId),
      unreachable.pause(spec.agentId),
      unreachable.resume(spec.agentId),
      unreachable.destroy(spec.agentId),
      unreachable.measureDisk(spec.agentId),
      unreachable.diskSpace(),
      unreachable.load(spec.agentId),
      unreachable.connect(spec.agentId, 'inward'),
    ];
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'PROVIDER_UNAVAILABLE' } });
    }
  });

  test('a new sandbox runs, is found by its key and says what it is made of', async () => {
    const spec = context.newSpec();
    expect(await context.provider.find(spec.agentId)).toBeUndefined();
    const before = Date.now();
    const sandbox = await context.provider.ensureRunning(spec);
    expect(sandbox).toMatchObject({ agentId: spec.agentId, image: spec.image, state: 'running' });
    expect(sandbox.createdAt).toBeGreaterThan(before - 5000);
    expect(await context.provider.find(spec.agentId)).toEqual(sandbox);
  });

  test('eight callers at once get one sandbox', async () => {
    const spec = context.newSpec();
    const sandboxes = await Promise.all(Array.from({ length: 8 }, () => context.provider.ensureRunning(spec)));
    expect(new Set(sandboxes.map((sandbox) => sandbox.providerId)).size).toBe(1);
    expect((await context.provider.list()).filter((sandbox) => sandbox.agentId === spec.agentId)).toHaveLength(1);
  });

  test('bringing up what runs leaves it alone', async () => {
    const spec = context.newSpec();
    const { providerId } = await context.provider.ensureRunning(spec);
    const stream = await context.provider.connect(spec.agentId, 'inward');
    expect((await context.provider.ensureRunning(spec)).providerId).toBe(providerId);
    expect(await echoed(stream, Buffer.from('still here'))).toBe('still here');
    stream.destroy();
  });

  test('the workspace outlives a stop', async () => {
    const spec = context.newSpec();
    await context.provider.ensureRunning(spec);
    await context.subject.run(spec.agentId, 'echo kept > note');
    await context.provider.stop(spec.agentId);
    expect(await context.provider.find(spec.agentId)).toMatchObject({ state: 'stopped' });
    expect(await context.provider.ensureRunning(spec)).toMatchObject({ state: 'running' });
    expect(await context.subject.run(spec.agentId, 'cat note')).toBe('kept\n');
  });

  test.for(['image', 'environment'] as const)(
    'another %s replaces the sandbox and keeps its workspace',
    async (what) => {
      const spec = context.newSpec();
      const first = await context.provider.ensureRunning(spec);
      await context.subject.run(spec.agentId, 'echo kept > note');
      const changed =
        what === 'image' ? { image: context.subject.images.otherEcho } : { environment: { GREETING: 'hello' } };
      const second = await context.provider.ensureRunning({ ...spec, ...changed });
      expect(second).toMatchObject({ state: 'running', image: changed.image ?? spec.image });
      expect(second.providerId).not.toBe(first.providerId);
      expect(await context.subject.run(spec.agentId, 'cat note')).toBe('kept\n');
    },
  );

  test('a sandbox that was killed comes back with its workspace', async () => {
    const spec = context.newSpec();
    await context.provider.ensureRunning(spec);
    await context.subject.run(spec.agentId, 'echo kept > note');
    await context.subject.kill(spec.agentId);
    await until('the sandbox is down', async () => (await context.provider.find(spec.agentId))?.state === 'stopped');
    await context.provider.ensureRunning(spec);
    expect(await context.subject.run(spec.agentId, 'cat note')).toBe('kept\n');
  });

  test('a missing image is named, and nothing is left', async () => {
    const spec = context.newSpec({ image: context.subject.images.missing });
    await expect(context.provider.ensureRunning(spec)).rejects.toMatchObject({
      code: 'SANDBOX_IMAGE_MISSING',
      message: expect.stringContaining(spec.image),
    });
    expect(await context.subject.remains(spec.agentId)).toEqual([]);
  });

  test('a sandbox that does not start is SANDBOX_START_FAILED, and nothing is left', async () => {
    const spec = context.newSpec({ image: context.subject.images.unstartable });
    await expect(context.provider.ensureRunning(spec)).rejects.toMatchObject({ code: 'SANDBOX_START_FAILED' });
    expect(await context.subject.remains(spec.agentId)).toEqual([]);
  });

  test('a failed replacement keeps the workspace', async () => {
    const spec = context.newSpec();
    await context.provider.ensureRunning(spec);
    await context.subject.run(spec.agentId, 'echo kept > note');
    const broken = context.provider.ensureRunning({ ...spec, image: context.subject.images.unstartable });
    await expect(broken).rejects.toMatchObject({ code: 'SANDBOX_START_FAILED' });
    await context.provider.ensureRunning(spec);
    expect(await context.subject.run(spec.agentId, 'cat note')).toBe('kept\n');
  });

  test('a caller that gives up gets its reason, and nothing is left', async () => {
    const spec = context.newSpec();
    const reason = new Error('given up');
    await expect(context.provider.ensureRunning(spec, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(await context.subject.remains(spec.agentId)).toEqual([]);
  });

  test('a caller that gives up while it waits for another does not disturb it', async () => {
    const spec = context.newSpec();
    const reason = new Error('given up');
    const abort = new AbortController();
    const first = context.provider.ensureRunning(spec);
    const second = context.provider.ensureRunning(spec, abort.signal);
    abort.abort(reason);
    await expect(second).rejects.toBe(reason);
    expect(await first).toMatchObject({ state: 'running' });
  });

  test('destroy leaves nothing, also of a paused one, and may be repeated', async () => {
    const preparations = [
      (agentId: AgentId) => context.provider.stop(agentId),
      (agentId: AgentId) => context.provider.pause(agentId),
    ];
    for (const prepare of preparations) {
      const agentId = await context.runningAgent();
      await context.subject.run(agentId, 'echo gone > note');
      await prepare(agentId);
      await Promise.all([context.provider.destroy(agentId), context.provider.destroy(agentId)]);
      expect(await context.subject.remains(agentId)).toEqual([]);
      expect(await context.provider.find(agentId)).toBeUndefined();
      await context.provider.destroy(agentId);
    }
  });

  test('stop ends every process, and is no error for one that is stopped or missing', async () => {
    const agentId = await context.runningAgent();
    await context.subject.run(agentId, 'sleep 1000 >/dev/null 2>&1 &');
    const processIds = await context.subject.processIds(agentId);
    expect(processIds.length).toBeGreaterThanOrEqual(2);
    await context.provider.stop(agentId);
    expect(processIds.filter((id) => existsSync(`/proc/${id}`))).toEqual([]);
    await context.provider.stop(agentId);
    await context.provider.stop(newAgentId());
  });

  test('pause freezes every process until resume, and both may be repeated', async () => {
    const agentId = await context.runningAgent();
    await context.subject.run(agentId, `(while :; do date +%s%3N >> ticks; sleep 0.01; done) >/dev/null 2>&1 &`);
    await until(
      'it ticks',
      async () => (await context.subject.run(agentId, 'cat ticks 2>/dev/null || true')).length > 0,
    );
    await context.provider.pause(agentId);
    const frozenFrom = Date.now() + 1; // the clock of the ticks is cut to milliseconds
    await context.provider.pause(agentId);
    expect(await context.provider.find(agentId)).toMatchObject({ state: 'paused' });
    await pass(300); // not a wait for anything: the time in which a tick would show
    const frozenTo = Date.now() - 1;
    await context.provider.resume(agentId);
    await context.provider.resume(agentId);
    expect(await context.provider.find(agentId)).toMatchObject({ state: 'running' });
    const ticks = async (): Promise<number[]> =>
      (await context.subject.run(agentId, 'cat ticks')).trim().split('\n').map(Number);
    const later = await until('it ticks again', async () => {
      const all = await ticks();
      return (all.at(-1) ?? 0) > frozenTo ? all : undefined;
    });
    expect(later.filter((tick) => tick > frozenFrom && tick < frozenTo)).toEqual([]);
  });

  test('bringing up a paused sandbox resumes it', async () => {
    const spec = context.newSpec();
    const { providerId } = await context.provider.ensureRunning(spec);
    await context.provider.pause(spec.agentId);
    expect(await context.provider.ensureRunning(spec)).toMatchObject({ state: 'running', providerId });
    expect(await context.provider.find(spec.agentId)).toMatchObject({ state: 'running' });
  });

  test('pause, resume and connect of what does not run are SANDBOX_NOT_RUNNING', async () => {
    const agentId = await context.runningAgent();
    await context.provider.stop(agentId);
    for (const id of [agentId, newAgentId()]) {
      await expect(context.provider.pause(id)).rejects.toMatchObject({ code: 'SANDBOX_NOT_RUNNING' });
      await expect(context.provider.resume(id)).rejects.toMatchObject({ code: 'SANDBOX_NOT_RUNNING' });
      await expect(context.provider.connect(id, 'inward')).rejects.toMatchObject({ code: 'SANDBOX_NOT_RUNNING' });
    }
  });

  test('list gives every sandbox once, whatever its state', async () => {
    const [running, stopped, paused] = [
      await context.runningAgent(),
      await context.runningAgent(),
      await context.runningAgent(),
    ];
    await context.provider.stop(stopped);
    await context.provider.pause(paused);
    const states = new Map((await context.provider.list()).map(({ agentId, state }) => [agentId, state]));
    expect([states.get(running), states.get(stopped), states.get(paused)]).toEqual(['running', 'stopped', 'paused']);
  });
}
