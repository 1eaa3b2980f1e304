import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Agent } from '../../../../src/agents/agent.ts';
import { EgressRules, type NewEgressRule } from '../../../../src/controlplane/egress/policy/egress-rules.ts';
import { RulePolicy } from '../../../../src/controlplane/egress/policy/rule-policy.ts';
import { openStorage, type Storage } from '../../../../src/controlplane/storage/open-storage.ts';
import { type AgentId, newAgentId } from '../../../../src/kernel/ids.ts';
import { silentLogger } from '../../../../src/kernel/logger.ts';
import { SteadyClock } from '../../../../src/kernel/steady-clock.ts';
import { storedAgent } from '../../../contracts/store-records.ts';
import { until } from '../../../until.ts';
import { dataDirectory } from '../../storage/data-directory.ts';
import { openHostileGuest } from '../attacks/hostile-guest.ts';
import { SteeredClock } from './steered-clock.ts';

const host = 'api.example.com';
const target = { host, port: 443 };
const allow: NewEgressRule = { effect: 'allow', subject: { host, ports: [443] }, expiresAt: null, why: 'needed' };

let undo: AsyncDisposableStack;
let storage: Storage;
let clock: SteeredClock;
let rules: EgressRules;
let agent: Agent;

beforeEach(async () => {
  undo = new AsyncDisposableStack();
  const directory = undo.use(dataDirectory());
  storage = await openStorage(directory.path);
  undo.defer(() => storage.close());
  clock = new SteeredClock();
  rules = undo.use(
    new EgressRules({
      store: storage.egressPolicies,
      agents: storage.agents,
      defaults: { allow: [], internal: [], mode: 'deny', ceiling: 'open' },
      clock: new SteadyClock(clock),
      logger: silentLogger,
    }),
  );
  ({ agent } = await storedAgent(storage.agents));
});
afterEach(() => undo.disposeAsync());

const scope = () => ({ kind: 'agent', agentId: agent.id }) as const;
const verdict = async () => (await rules.judge(agent.id, target)).judgement.verdict;

test('a change holds from the moment at which it is stored, and each is told', async () => {
  const told: (AgentId | null)[] = [];
  rules.onChanged((agentId) => told.push(agentId));
  expect(await verdict()).toBe('deny');
  await rules.change(scope(), { by: agent.ownerId, mode: 'allowlist', add: [allow] });
  expect(await verdict()).toBe('allow');
  await rules.change({ kind: 'operator' }, { by: agent.ownerId, mode: 'allowlist' });
  expect(await verdict()).toBe('deny');
  expect(told).toEqual([agent.id, null]);
});

test('many who ask while it changes never see what was before, once it is stored', async () => {
  const asking = Array.from({ length: 50 }, async () => await verdict());
  const changing = rules.change(scope(), { by: agent.ownerId, mode: 'open' });
  await Promise.all(asking);
  await changing;
  expect(await Promise.all(Array.from({ length: 50 }, verdict))).toEqual(Array(50).fill('allow'));
});

test('of one policy each user has its own, and agents of others are not touched', async () => {
  const { agent: other } = await storedAgent(storage.agents);
  await storage.identities.insertUser({
    id: agent.ownerId,
    name: 'ada',
    role: 'member',
    createdAt: clock.now(),
    disabledAt: null,
  });
  for (const { id } of [agent, other]) {
    await rules.change({ kind: 'agent', agentId: id }, { by: agent.ownerId, mode: 'allowlist' });
  }
  await rules.change({ kind: 'user', userId: agent.ownerId }, { by: agent.ownerId, add: [allow] });
  expect(await verdict()).toBe('allow');
  expect((await rules.judge(other.id, target)).judgement.verdict).toBe('deny');
});

test('who, when, why and until when are kept', async () => {
  const expiresAt = clock.now() + 60_000;
  const changed = await rules.change(scope(), { by: agent.ownerId, add: [{ ...allow, expiresAt }], why: 'a try' });
  expect(await rules.get(scope())).toEqual(changed);
  expect(changed).toMatchObject({
    version: 1,
    changed: { by: agent.ownerId, at: clock.now(), why: 'a try' },
    rules: [{ ...allow, expiresAt, addedBy: agent.ownerId, addedAt: clock.now() }],
  });
});

test.each([
  [{ kind: 'user' }, { mode: 'open' }],
  [{ kind: 'ceiling' }, { add: [allow] }],
  [{ kind: 'agent' }, { add: [{ ...allow, effect: 'permit' }] }],
  [{ kind: 'agent' }, { add: [{ ...allow, subject: { host: '*', ports: null } }] }],
  [{ kind: 'agent' }, { add: [{ ...allow, subject: { host: '*.com', ports: null } }] }],
] as const)('of %j, %j is refused and changes nothing', async ({ kind }, change) => {
  const of = kind === 'agent' ? scope() : { kind, userId: agent.ownerId };
  await expect(rules.change(of, { by: agent.ownerId, ...change })).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  expect(await rules.get(of)).toMatchObject({ version: 0 });
});

test('an agent that is not there is denied by an error', async () => {
  await expect(rules.judge(newAgentId(), target)).rejects.toMatchObject({ code: 'AGENT_NOT_FOUND' });
});

describe('a rule that expires', () => {
  test('is told when it does, and is nothing then', async () => {
    await rules.change(scope(), {
      by: agent.ownerId,
      mode: 'allowlist',
      add: [{ ...allow, expiresAt: clock.now() + 150_000 }],
    });
    let told = 0;
    rules.onChanged(() => told++);
    for (const [passing, expected] of [
      [60_000, 0],
      [60_000, 0],
      [29_999, 0],
      [1, 1],
    ] as const) {
      await until('it waits', () => clock.timers > 0);
      clock.advance(passing);
      expect(told).toBe(expected);
      expect(await verdict()).toBe(expected === 0 ? 'allow' : 'deny');
    }
    await until('nothing else waits', () => clock.timers === 0);
  });

  test('is looked for after a restart, and after the clock has jumped', async () => {
    const expiresAt = clock.now() + 3_600_000;
    await rules.change(scope(), { by: agent.ownerId, mode: 'allowlist', add: [{ ...allow, expiresAt }] });
    rules[Symbol.dispose]();
    const later = undo.use(
      new EgressRules({
        store: storage.egressPolicies,
        agents: storage.agents,
        defaults: { allow: [], internal: [], mode: 'deny', ceiling: 'open' },
        clock: new SteadyClock(clock),
        logger: silentLogger,
      }),
    );
    let told = 0;
    later.onChanged(() => told++);
    later.start();
    await until('it waits', () => clock.timers > 0);
    clock.jump(3_600_000);
    expect((await later.judge(agent.id, target)).judgement.verdict).toBe('deny');
    clock.advance(60_000);
    expect(told).toBe(1);
  });
});

test('a rule that has expired lets nobody out again while the wall clock is set back for a moment', async () => {
  const expiresAt = clock.now() + 60_000;
  await rules.change(scope(), { by: agent.ownerId, mode: 'allowlist', add: [{ ...allow, expiresAt }] });
  clock.advance(60_000);
  expect(await verdict()).toBe('deny');
  clock.jump(-3_600_000);
  expect(await verdict()).toBe('deny');
});

describe('an open connection', () => {
  const request = `GET / HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`;

  /** A connection that is allowed by a rule of the agent, through a real gateway. */
  async function opened() {
    const guest = undo.use(await openHostileGuest());
    const policy = undo.use(
      new RulePolicy({ rules, holdMs: 1_000, clock, logger: silentLogger, record: async () => undefined }),
    );
    guest.policy.rule = (asked, signal) => policy.decide(agent.id, asked, signal);
    guest.policy.again = (asked, before) => policy.allows(agent.id, asked, before);
    policy.onChanged(() => guest.policy.change());
    const expiresAt = clock.now() + 30_000;
    const { rules: added } = await rules.change(scope(), {
      by: agent.ownerId,
      mode: 'allowlist',
      add: [{ ...allow, expiresAt }],
    });
    const attempt = await guest.ask(host);
    expect(attempt.status).toBe(200);
    attempt.stream.write(request);
    await until('it is through', () => guest.reached() !== '');
    return { guest, attempt, remove: added.map(({ id }) => id) };
  }

  test.each([
    [
      'its rule is removed',
      async (remove: Awaited<ReturnType<typeof opened>>['remove']) => {
        await rules.change(scope(), { by: agent.ownerId, remove });
      },
    ],
    [
      'a rule denies it',
      async () => {
        const deny: NewEgressRule = { ...allow, effect: 'deny', subject: { host: '*', ports: null } };
        await rules.change({ kind: 'operator' }, { by: agent.ownerId, add: [deny] });
      },
    ],
    [
      'the mode becomes narrower',
      async () => {
        await rules.change(scope(), { by: agent.ownerId, mode: 'deny' });
      },
    ],
    [
      'its rule expires',
      async () => {
        await until('it waits', () => clock.timers > 0);
        clock.advance(30_000);
      },
    ],
  ])('is cut in the middle when %s', async (_name, change) => {
    const { guest, attempt, remove } = await opened();
    await change(remove);
    await guest.say(attempt, '');
    expect(await guest.recorded()).toMatchObject({ decision: 'deny', outcome: 'revoked', sentBytes: request.length });
  });

  test('goes on when what changes still allows it', async () => {
    const { guest, attempt } = await opened();
    await rules.change(scope(), { by: agent.ownerId, mode: 'open' });
    await rules.change({ kind: 'operator' }, { by: agent.ownerId, add: [{ ...allow, subject: { preset: 'npm' } }] });
    attempt.stream.write(request);
    await until('more is through', () => guest.reached().length > 1.5 * request.length);
    expect(guest.records).toEqual([]);
  });
});
