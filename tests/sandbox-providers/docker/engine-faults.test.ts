import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DockerProvider } from '../../../src/sandbox-providers/docker/provider.ts';
import { until } from '../../until.ts';
import { type DockerSubject, openDocker } from './docker-subject.ts';
import { EngineRelay, type Fate } from './engine-relay.ts';

describe('with a remote engine that may fail, the Docker provider', () => {
  let subject: DockerSubject;
  let relay: EngineRelay;
  let provider: DockerProvider;
  let impatient: DockerProvider;

  beforeAll(async () => {
    subject = await openDocker();
  }, 300_000);

  beforeEach(async () => {
    relay = await EngineRelay.open();
    const engine = { protocol: 'http', host: '127.0.0.1', port: relay.port } as const;
    const { instance } = subject;
    provider = new DockerProvider({ instance, engine });
    impatient = new DockerProvider({ instance, engine, timeouts: { quickMs: 1000, slowMs: 3000 } });
  });

  afterEach(async () => {
    await provider[Symbol.asyncDispose]();
    await relay[Symbol.asyncDispose]();
  });

  afterAll(async () => {
    await subject[Symbol.asyncDispose]();
  });

  test('works over TCP as over the local socket', async () => {
    const { agentId } = await provider.ensureRunning(subject.newSpec());
    const stream = await provider.connect(agentId, 'inward');
    stream.write('over TCP');
    expect(String((await once(stream, 'data'))[0])).toBe('over TCP');
    stream.end();
    stream.resume();
    await once(stream, 'end');
  });

  test('ends every call in PROVIDER_UNAVAILABLE when the engine is silent', async () => {
    relay.decide = () => 'silence';
    const { agentId } = subject.newSpec();
    const calls = [
      impatient.check(),
      impatient.find(agentId),
      impatient.list(),
      impatient.connect(agentId, 'inward'),
      impatient.ensureRunning(subject.newSpec()),
      impatient.destroy(agentId),
    ];
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'PROVIDER_UNAVAILABLE' } });
    }
  });

  test.for([
    ['/containers/create', 'lose-answer'],
    ['/start', 'silence'],
    ['/start', 'break'],
    ['/start', 'lose-answer'],
  ] as const)('leaves nothing when %s meets: %s', async ([path, fate]) => {
    relay.decide = (line) => (line.includes(path) ? fate : 'pass');
    const spec = subject.newSpec();
    await expect(impatient.ensureRunning(spec)).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    expect(await subject.remains(spec.agentId)).toEqual([]);
  });

  test('removes nothing that another process made meanwhile', async () => {
    const spec = subject.newSpec();
    relay.decide = async (line): Promise<Fate> => {
      if (!line.includes('/containers/create')) return 'pass';
      await subject.provider.ensureRunning(spec);
      return 'break';
    };
    await expect(provider.ensureRunning(spec)).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' });
    expect(await subject.provider.find(spec.agentId)).toMatchObject({ state: 'running' });
  });

  test('leaves nothing when its caller gives up during the creation', async () => {
    const abort = new AbortController();
    const reason = new Error('given up');
    relay.decide = (line) => {
      if (line.includes('/containers/create')) abort.abort(reason);
      return 'pass';
    };
    const spec = subject.newSpec();
    await expect(provider.ensureRunning(spec, abort.signal)).rejects.toBe(reason);
    expect(await subject.remains(spec.agentId)).toEqual([]);
  });

  test('adopts the sandbox that another process created first', async () => {
    const spec = subject.newSpec();
    relay.decide = async (line): Promise<Fate> => {
      if (line.includes('/containers/create')) await subject.provider.ensureRunning(spec);
      return 'pass';
    };
    const adopted = await provider.ensureRunning(spec);
    expect(adopted).toEqual(await subject.provider.find(spec.agentId));
  });

  test('gives one sandbox to two processes that ask at once', async () => {
    const spec = subject.newSpec();
    const asking = [provider, subject.provider].flatMap((each) => [each.ensureRunning(spec), each.ensureRunning(spec)]);
    expect(new Set((await Promise.all(asking)).map((sandbox) => sandbox.providerId)).size).toBe(1);
  });

  test('settles calls that race, and then brings the sandbox up', async () => {
    const spec = subject.newSpec();
    await Promise.allSettled([
      provider.ensureRunning(spec),
      subject.provider.destroy(spec.agentId),
      subject.provider.ensureRunning(spec),
      provider.destroy(spec.agentId),
      provider.stop(spec.agentId),
      subject.provider.ensureRunning(spec),
    ]);
    expect(await provider.ensureRunning(spec)).toMatchObject({ state: 'running' });
    await provider.destroy(spec.agentId);
    expect(await subject.remains(spec.agentId)).toEqual([]);
  });

  test('says that the sandbox does not run when it stops while the pipe is being started', async () => {
    const { agentId } = await provider.ensureRunning(subject.newSpec());
    relay.decide = async (line): Promise<Fate> => {
      if (line.includes('/exec/')) await subject.provider.stop(agentId);
      return 'pass';
    };
    await expect(provider.connect(agentId, 'inward')).rejects.toMatchObject({ code: 'SANDBOX_NOT_RUNNING' });
  });

  test('keeps no connection of a pipe whose start the engine refused', async () => {
    const { agentId } = await provider.ensureRunning(subject.newSpec());
    relay.decide = async (line): Promise<Fate> => {
      if (line.includes('/exec/')) await subject.provider.stop(agentId);
      return 'pass';
    };
    await expect(provider.connect(agentId, 'inward')).rejects.toMatchObject({ code: 'SANDBOX_NOT_RUNNING' });
    await until('the connection is closed', () => relay.openAfter('/exec/') === 0);
  });

  test('ends its streams, here and in the sandbox, when the connection to the engine breaks', async () => {
    const { agentId } = await provider.ensureRunning(subject.newSpec());
    await subject.provider.connect(agentId, 'outward'); // the guest is up: no process comes by itself any more
    const idle = (await subject.processIds(agentId)).length;
    const stream = await provider.connect(agentId, 'inward');
    relay.decide = () => 'break';
    const closed = once(stream, 'close');
    stream.resume();
    stream.write('GET / breaks this connection');
    await closed;
    await until('the pipe is gone', async () => (await subject.processIds(agentId)).length === idle);
  });
});
