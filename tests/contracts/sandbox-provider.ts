import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { setTimeout as pass } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type AgentId, newAgentId } from '../../src/kernel/ids.ts';
import type { SandboxProvider, SandboxSpec } from '../../src/sandbox-providers/contract/index.ts';
import { until } from '../until.ts';

/** A provider, and the ways to look at its sandboxes that do not go through it. */
export interface SandboxProviderSubject extends AsyncDisposable {
  readonly provider: SandboxProvider;
  /** The same provider where no engine answers. */
  readonly unreachable: SandboxProvider;
  /** The first two run `tests/doubles/echo-guest.ts`; the third exists but cannot be started. */
  readonly images: Readonly<Record<'echo' | 'otherEcho' | 'unstartable' | 'missing', string>>;
  /** Runs a shell command in the workspace; rejects unless it exits with 0. */
  run(agentId: AgentId, command: string): Promise<string>;
  /** Names of everything that the engine still has under this key. */
  remains(agentId: AgentId): Promise<readonly string[]>;
  /** Process ids on this machine of everything that runs in the sandbox. */
  processIds(agentId: AgentId): Promise<readonly number[]>;
  /** Ends the sandbox without the provider, as a crash would. */
  kill(agentId: AgentId): Promise<void>;
}

const mebibyte = 1024 ** 2;

/** The behaviour that every sandbox provider has. */
export function sandboxProviderContract(name: string, open: () => Promise<SandboxProviderSubject>): void {
  describe(`${name} keeps the sandbox provider contract`, () => {
    let subject: SandboxProviderSubject;
    let provider: SandboxProvider;
    const agents: AgentId[] = [];

    beforeAll(async () => {
      subject = await open();
      provider = subject.provider;
    }, 300_000);

    afterEach(async () => {
      for (const agentId of agents.splice(0)) await provider.destroy(agentId);
    });

    afterAll(async () => {
      await subject[Symbol.asyncDispose]();
    });

    function newSpec(changes: Partial<SandboxSpec> = {}): SandboxSpec {
      const agentId = newAgentId();
      agents.push(agentId);
      return {
        agentId,
        image: subject.images.echo,
        limits: { cpus: 1, memoryBytes: 256 * mebibyte, pids: 64 },
        environment: { CAISSON_AGENT_ID: agentId },
        ...changes,
      };
    }

    async function runningAgent(): Promise<AgentId> {
      return (await provider.ensureRunning(newSpec())).agentId;
    }

    test('check says what the engine is', async () => {
      expect((await provider.check()).description).not.toBe('');
    });

    test('an engine that cannot be reached is PROVIDER_UNAVAILABLE, for every call', async () => {
      const { unreachable } = subject;
      const spec = newSpec();
      const calls = [
        unreachable.check(),
        unreachable.ensureRunning(spec),
        unreachable.find(spec.agentId),
        unreachable.list(),
        unreachable.stop(spec.agentId),
        unreachable.pause(spec.agentId),
        unreachable.resume(spec.agentId),
        unreachable.destroy(spec.agentId),
        unreachable.connect(spec.agentId, 'inward'),
      ];
      for (const outcome of await Promise.allSettled(calls)) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'PROVIDER_UNAVAILABLE' } });
      }
    });

    test('a new sandbox runs, is found by its key and says what it is made of', async () => {
      const spec = newSpec();
      expect(await provider.find(spec.agentId)).toBeUndefined();
      const before = Date.now();
      const sandbox = await provider.ensureRunning(spec);
      expect(sandbox).toMatchObject({ agentId: spec.agentId, image: spec.image, state: 'running' });
      expect(sandbox.createdAt).toBeGreaterThan(before - 5000);
      expect(await provider.find(spec.agentId)).toEqual(sandbox);
    });

    test('eight callers at once get one sandbox', async () => {
      const spec = newSpec();
      const sandboxes = await Promise.all(Array.from({ length: 8 }, () => provider.ensureRunning(spec)));
      expect(new Set(sandboxes.map((sandbox) => sandbox.providerId)).size).toBe(1);
      expect((await provider.list()).filter((sandbox) => sandbox.agentId === spec.agentId)).toHaveLength(1);
    });

    test('bringing up what runs leaves it alone', async () => {
      const spec = newSpec();
      const { providerId } = await provider.ensureRunning(spec);
      const stream = await provider.connect(spec.agentId, 'inward');
      expect((await provider.ensureRunning(spec)).providerId).toBe(providerId);
      expect(await echoed(stream, Buffer.from('still here'))).toBe('still here');
      stream.destroy();
    });

    test('the workspace outlives a stop', async () => {
      const spec = newSpec();
      await provider.ensureRunning(spec);
      await subject.run(spec.agentId, 'echo kept > note');
      await provider.stop(spec.agentId);
      expect(await provider.find(spec.agentId)).toMatchObject({ state: 'stopped' });
      expect(await provider.ensureRunning(spec)).toMatchObject({ state: 'running' });
      expect(await subject.run(spec.agentId, 'cat note')).toBe('kept\n');
    });

    test.for(['image', 'environment'] as const)(
      'another %s replaces the sandbox and keeps its workspace',
      async (what) => {
        const spec = newSpec();
        const first = await provider.ensureRunning(spec);
        await subject.run(spec.agentId, 'echo kept > note');
        const changed = what === 'image' ? { image: subject.images.otherEcho } : { environment: { GREETING: 'hello' } };
        const second = await provider.ensureRunning({ ...spec, ...changed });
        expect(second).toMatchObject({ state: 'running', image: changed.image ?? spec.image });
        expect(second.providerId).not.toBe(first.providerId);
        expect(await subject.run(spec.agentId, 'cat note')).toBe('kept\n');
      },
    );

    test('a sandbox that was killed comes back with its workspace', async () => {
      const spec = newSpec();
      await provider.ensureRunning(spec);
      await subject.run(spec.agentId, 'echo kept > note');
      await subject.kill(spec.agentId);
      await until('the sandbox is down', async () => (await provider.find(spec.agentId))?.state === 'stopped');
      await provider.ensureRunning(spec);
      expect(await subject.run(spec.agentId, 'cat note')).toBe('kept\n');
    });

    test('a missing image is named, and nothing is left', async () => {
      const spec = newSpec({ image: subject.images.missing });
      await expect(provider.ensureRunning(spec)).rejects.toMatchObject({
        code: 'SANDBOX_IMAGE_MISSING',
        message: expect.stringContaining(spec.image),
      });
      expect(await subject.remains(spec.agentId)).toEqual([]);
    });

    test('a sandbox that does not start is SANDBOX_START_FAILED, and nothing is left', async () => {
      const spec = newSpec({ image: subject.images.unstartable });
      await expect(provider.ensureRunning(spec)).rejects.toMatchObject({ code: 'SANDBOX_START_FAILED' });
      expect(await subject.remains(spec.agentId)).toEqual([]);
    });

    test('a failed replacement keeps the workspace', async () => {
      const spec = newSpec();
      await provider.ensureRunning(spec);
      await subject.run(spec.agentId, 'echo kept > note');
      const broken = provider.ensureRunning({ ...spec, image: subject.images.unstartable });
      await expect(broken).rejects.toMatchObject({ code: 'SANDBOX_START_FAILED' });
      await provider.ensureRunning(spec);
      expect(await subject.run(spec.agentId, 'cat note')).toBe('kept\n');
    });

    test('a caller that gives up gets its reason, and nothing is left', async () => {
      const spec = newSpec();
      const reason = new Error('given up');
      await expect(provider.ensureRunning(spec, AbortSignal.abort(reason))).rejects.toBe(reason);
      expect(await subject.remains(spec.agentId)).toEqual([]);
    });

    test('a caller that gives up while it waits for another does not disturb it', async () => {
      const spec = newSpec();
      const reason = new Error('given up');
      const abort = new AbortController();
      const first = provider.ensureRunning(spec);
      const second = provider.ensureRunning(spec, abort.signal);
      abort.abort(reason);
      await expect(second).rejects.toBe(reason);
      expect(await first).toMatchObject({ state: 'running' });
    });

    test('destroy leaves nothing, also of a paused one, and may be repeated', async () => {
      for (const prepare of [provider.stop, provider.pause]) {
        const agentId = await runningAgent();
        await subject.run(agentId, 'echo gone > note');
        await prepare.call(provider, agentId);
        await Promise.all([provider.destroy(agentId), provider.destroy(agentId)]);
        expect(await subject.remains(agentId)).toEqual([]);
        expect(await provider.find(agentId)).toBeUndefined();
        await provider.destroy(agentId);
      }
    });

    test('stop ends every process, and is no error for one that is stopped or missing', async () => {
      const agentId = await runningAgent();
      await subject.run(agentId, 'sleep 1000 >/dev/null 2>&1 &');
      const processIds = await subject.processIds(agentId);
      expect(processIds.length).toBeGreaterThanOrEqual(2);
      await provider.stop(agentId);
      expect(processIds.filter((id) => existsSync(`/proc/${id}`))).toEqual([]);
      await provider.stop(agentId);
      await provider.stop(newAgentId());
    });

    test('pause freezes every process until resume, and both may be repeated', async () => {
      const agentId = await runningAgent();
      await subject.run(agentId, `(while :; do date +%s%3N >> ticks; sleep 0.01; done) >/dev/null 2>&1 &`);
      await until('it ticks', async () => (await subject.run(agentId, 'cat ticks 2>/dev/null || true')).length > 0);
      await provider.pause(agentId);
      const frozenFrom = Date.now() + 1; // the clock of the ticks is cut to milliseconds
      await provider.pause(agentId);
      expect(await provider.find(agentId)).toMatchObject({ state: 'paused' });
      await pass(300); // not a wait for anything: the time in which a tick would show
      const frozenTo = Date.now() - 1;
      await provider.resume(agentId);
      await provider.resume(agentId);
      expect(await provider.find(agentId)).toMatchObject({ state: 'running' });
      const ticks = async (): Promise<number[]> =>
        (await subject.run(agentId, 'cat ticks')).trim().split('\n').map(Number);
      const later = await until('it ticks again', async () => {
        const all = await ticks();
        return (all.at(-1) ?? 0) > frozenTo ? all : undefined;
      });
      expect(later.filter((tick) => tick > frozenFrom && tick < frozenTo)).toEqual([]);
    });

    test('bringing up a paused sandbox resumes it', async () => {
      const spec = newSpec();
      const { providerId } = await provider.ensureRunning(spec);
      await provider.pause(spec.agentId);
      expect(await provider.ensureRunning(spec)).toMatchObject({ state: 'running', providerId });
      expect(await provider.find(spec.agentId)).toMatchObject({ state: 'running' });
    });

    test('pause, resume and connect of what does not run are SANDBOX_NOT_RUNNING', async () => {
      const agentId = await runningAgent();
      await provider.stop(agentId);
      for (const id of [agentId, newAgentId()]) {
        await expect(provider.pause(id)).rejects.toMatchObject({ code: 'SANDBOX_NOT_RUNNING' });
        await expect(provider.resume(id)).rejects.toMatchObject({ code: 'SANDBOX_NOT_RUNNING' });
        await expect(provider.connect(id, 'inward')).rejects.toMatchObject({ code: 'SANDBOX_NOT_RUNNING' });
      }
    });

    test('list gives every sandbox once, whatever its state', async () => {
      const [running, stopped, paused] = [await runningAgent(), await runningAgent(), await runningAgent()];
      await provider.stop(stopped);
      await provider.pause(paused);
      const states = new Map((await provider.list()).map(({ agentId, state }) => [agentId, state]));
      expect([states.get(running), states.get(stopped), states.get(paused)]).toEqual(['running', 'stopped', 'paused']);
    });

    test('32 MiB come back byte for byte, on both channels at once', async () => {
      const agentId = await runningAgent();
      const streams = [await provider.connect(agentId, 'inward'), await provider.connect(agentId, 'outward')];
      await Promise.all(
        streams.map(async (stream) => {
          const block = randomBytes(mebibyte + 7);
          const sent = createHash('sha256');
          const received = digest(stream);
          for (let i = 0; i < 32; i++) {
            sent.update(block);
            if (!stream.write(block)) await once(stream, 'drain');
          }
          stream.end(); // half of it: the rest is still on its way back
          expect(await received).toBe(sent.digest('hex'));
        }),
      );
    }, 60_000);

    test('a reader that stops stops the writer, and loses nothing', async () => {
      const agentId = await runningAgent();
      const stream = await provider.connect(agentId, 'inward');
      const probe = await provider.connect(agentId, 'outward');
      const block = randomBytes(65_536);
      const blocks = 1024;
      let taken = 0;
      for (let i = 0; i < blocks; i++) stream.write(block, () => taken++);
      // Stopped: nothing more is taken while another connection of the same sandbox gets 50 answers.
      await until('the writer stops', async () => {
        const before = taken;
        for (let i = 0; i < 50; i++) await echoed(probe, Buffer.from('ping'));
        return taken === before;
      });
      expect(taken).toBeLessThan(blocks / 2);
      const received = digest(stream);
      stream.end();
      const sent = createHash('sha256');
      for (let i = 0; i < blocks; i++) sent.update(block);
      expect(await received).toBe(sent.digest('hex'));
      probe.destroy();
    }, 60_000);

    test('several connections to one channel do not mix', async () => {
      const agentId = await runningAgent();
      const streams = await Promise.all(Array.from({ length: 6 }, () => provider.connect(agentId, 'inward')));
      const words = streams.map((_, index) => `connection ${index}`);
      const answers = await Promise.all(
        streams.map((stream, index) => echoed(stream, Buffer.from(words[index] ?? ''))),
      );
      expect(answers).toEqual(words);
      for (const stream of streams) stream.destroy();
    });

    test('destroying a stream ends its pipe in the sandbox', async () => {
      const agentId = await runningAgent();
      const idle = (await subject.processIds(agentId)).length;
      const streams = await Promise.all(Array.from({ length: 3 }, () => provider.connect(agentId, 'inward')));
      const [reading, flooded, fresh] = streams;
      reading?.resume();
      flooded?.write(randomBytes(8 * mebibyte)); // more than fits on the way: the pipe is stuck when it is closed
      fresh?.pause();
      for (const stream of streams) stream.destroy();
      await until('the pipes are gone', async () => (await subject.processIds(agentId)).length === idle);
    });

    test.for(['kill', 'stop', 'destroy'] as const)('%s of the sandbox ends its streams', async (how) => {
      const agentId = await runningAgent();
      const streams = [await provider.connect(agentId, 'inward'), await provider.connect(agentId, 'outward')];
      const closed = streams.map((stream) => whenClosed(stream));
      await (how === 'kill' ? subject.kill(agentId) : provider[how](agentId));
      await Promise.all(closed);
    });

    test('a caller that gives up connecting gets its reason', async () => {
      const agentId = await runningAgent();
      const reason = new Error('given up');
      await expect(provider.connect(agentId, 'inward', AbortSignal.abort(reason))).rejects.toBe(reason);
    });
  });
}

/** Sends `message` and gives back as many bytes as it has. */
async function echoed(stream: Duplex, message: Buffer): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const parts: Buffer[] = [];
  let length = 0;
  const take = (part: Buffer): void => {
    parts.push(part);
    length += part.length;
    if (length >= message.length) resolve();
  };
  stream.on('data', take);
  stream.write(message);
  await promise;
  stream.off('data', take);
  return Buffer.concat(parts).toString();
}

async function digest(stream: Duplex): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of stream) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Settles when the stream is over, in peace or with an error. */
async function whenClosed(stream: Duplex): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.once('close', resolve);
  stream.on('error', () => undefined); // a crash may show as one
  stream.resume();
  await promise;
}
