import type { Socket } from 'node:net';
import { setImmediate as endOfTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Agent } from '../../../../src/agents/agent.ts';
import type { EgressEvent } from '../../../../src/agents/agent-service.ts';
import { EgressRules } from '../../../../src/controlplane/egress/policy/egress-rules.ts';
import {
  mostQuestions,
  mostQuestionsOfAgent,
  mostWaitingForHost,
} from '../../../../src/controlplane/egress/policy/questions.ts';
import { type EgressAnswer, RulePolicy } from '../../../../src/controlplane/egress/policy/rule-policy.ts';
import type { EgressDecision } from '../../../../src/controlplane/egress/ports.ts';
import { openStorage, type Storage } from '../../../../src/controlplane/storage/open-storage.ts';
import type { EgressRequestId } from '../../../../src/kernel/ids.ts';
import { silentLogger } from '../../../../src/kernel/logger.ts';
import { SteadyClock } from '../../../../src/kernel/steady-clock.ts';
import { storedAgent } from '../../../contracts/store-records.ts';
import { until } from '../../../until.ts';
import { dataDirectory } from '../../storage/data-directory.ts';
import { openHostileGuest } from '../attacks/hostile-guest.ts';
import { SteeredClock } from './steered-clock.ts';

const host = 'api.example.com';
const holdMs = 120_000;
const allow = { effect: 'allow', subject: { host, ports: [443] }, expiresAt: null, why: null } as const;

let undo: AsyncDisposableStack;
let storage: Storage;
let clock: SteeredClock;
let rules: EgressRules;
let policy: RulePolicy;
let agent: Agent;
let events: EgressEvent[];

beforeEach(async () => {
  undo = new AsyncDisposableStack();
  const directory = undo.use(dataDirectory());
  storage = await openStorage(directory.path);
  undo.defer(() => storage.close());
  clock = new SteeredClock();
  events = [];
  rules = undo.use(
    new EgressRules({
      store: storage.egressPolicies,
      agents: storage.agents,
      defaults: { allow: [], internal: [], mode: 'ask', ceiling: 'ask' },
      clock: new SteadyClock(clock),
      logger: silentLogger,
    }),
  );
  policy = undo.use(
    new RulePolicy({
      rules,
      holdMs,
      clock,
      logger: silentLogger,
      record: async (_agentId, event) => void events.push(event),
    }),
  );
  ({ agent } = await storedAgent(storage.agents));
  await storage.identities.insertUser({
    id: agent.ownerId,
    name: 'ada',
    role: 'member',
    createdAt: clock.now(),
    disabledAt: null,
  });
});
afterEach(() => undo.disposeAsync());

const never = new AbortController().signal;
const connect = (port = 443, to = host, signal = never, of = agent): Promise<EgressDecision> =>
  policy.decide(of.id, { host: to, port }, signal);

/** The only question, once so many connections wait for it. */
async function asked(waiting: number): Promise<EgressRequestId> {
  const { id } = await until(`${waiting} wait`, () => policy.pending().find((each) => each.waiting === waiting));
  return id;
}
const answer = (id: EgressRequestId, how: EgressAnswer) =>
  policy.answer(id, { answer: how, by: agent.ownerId, why: null });

test.each(['169.254.169.254', '10.0.0.1', '127.0.0.1', '::1', 'fd00::1'])(
  'nobody is asked for %s, which no answer can allow',
  async (address) => {
    expect(await connect(80, address)).toMatchObject({
      verdict: 'deny',
      reason: expect.stringContaining('not public'),
    });
    expect([policy.pending(), events]).toEqual([[], []]);
  },
);

test('whoever comes while the rules change is decided by the new ones', async () => {
  vi.spyOn(rules, 'judge').mockImplementationOnce(async (...asks) => {
    const before = await rules.judge(...asks); // the real one by now
    await rules.change({ kind: 'agent', agentId: agent.id }, { by: agent.ownerId, add: [allow] });
    return before;
  });
  expect(await connect()).toMatchObject({ verdict: 'allow' });
  expect(events).toEqual([]);
});

test('a question that is answered while new rules are asked about it is told as over once', async () => {
  const connection = connect();
  const id = await asked(1);
  const [isAsked, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const judge = vi.spyOn(rules, 'judge').mockImplementationOnce(async (...asks) => {
    isAsked.resolve();
    await goOn.promise;
    return await rules.judge(...asks);
  });
  await rules.change({ kind: 'agent', agentId: agent.id }, { by: agent.ownerId, add: [allow] });
  await isAsked.promise;
  await answer(id, 'once');
  expect(await connection).toMatchObject({ verdict: 'allow', rule: 'allowed once' });
  goOn.resolve();
  await judge.mock.results[0]?.value;
  await endOfTurn();
  expect(events.map(({ type }) => type)).toEqual(['egress.requested', 'egress.resolved']);
});

test('a connection to another port that comes while an answer becomes a rule is not let out by it', async () => {
  const connection = connect(443);
  const id = await asked(1);
  let late = connection;
  vi.spyOn(rules, 'change').mockImplementationOnce(async (...change) => {
    late = connect(22);
    await asked(2);
    return await rules.change(...change);
  });
  await answer(id, 'agent');
  expect(await connection).toMatchObject({ verdict: 'allow' });
  expect(await late).toMatchObject({ verdict: 'deny' });
});

test.each(['once', 'agent', 'always'] as const)(
  '`%s` for the ports that somebody was shown lets out to no other that came meanwhile',
  async (how) => {
    const shown = connect(443);
    const id = await asked(1);
    const late = connect(22);
    await asked(2);
    await expect(policy.answer(id, { answer: how, ports: [80], by: agent.ownerId, why: null })).rejects.toMatchObject({
      code: 'EGRESS_REQUEST_NOT_FOUND',
      hint: 'Ports that are asked for: 22, 443.',
    });
    await policy.answer(id, { answer: how, ports: [443, 80], by: agent.ownerId, why: null });
    expect(await shown).toMatchObject({ verdict: 'allow' });
    expect(await late).toMatchObject({ verdict: 'deny' });
    expect(policy.pending()).toEqual([]);
    const again = connect(22);
    await answer(await asked(1), 'deny');
    expect(await again).toMatchObject({ verdict: 'deny' });
  },
);

test('`once` for a port at which nobody waits any more lets the next one out, whoever waits at another', async () => {
  const gone = new AbortController();
  const left = connect(443, host, gone.signal);
  const id = await asked(1);
  const late = connect(22);
  await asked(2);
  gone.abort(new Error('gone'));
  await expect(left).rejects.toThrow('gone');
  await policy.answer(id, { answer: 'once', ports: [443], by: agent.ownerId, why: null });
  expect(await late).toMatchObject({ verdict: 'deny' });
  expect(await connect(443)).toMatchObject({ verdict: 'allow', rule: 'allowed once' });
});

test('a program that tries port after port is asked about for as many as a rule has, and told of no more', async () => {
  const waiting = Array.from({ length: 32 }, (_, index) => connect(1_000 + index));
  const id = await asked(32);
  expect(await connect(2_000)).toMatchObject({ verdict: 'deny' });
  await answer(id, 'agent');
  expect((await Promise.all(waiting)).map(({ verdict }) => verdict)).toEqual(Array(32).fill('allow'));
  expect(events.filter(({ type }) => type === 'egress.requested')).toHaveLength(32);
});

describe('one answer settles every connection that waits for the same host', () => {
  test.each([
    ['once', 'allow'],
    ['agent', 'allow'],
    ['always', 'allow'],
    ['deny', 'deny'],
  ] as const)('%s: %s', async (how, verdict) => {
    const connections = [connect(), connect(), connect(22), connect()];
    const other = connect(443, 'other.example');
    const id = await asked(4);
    await until('both are asked', () => policy.pending().length === 2);
    expect(policy.findPending(id)).toMatchObject({ host, ports: [22, 443], agentId: agent.id, ownerId: agent.ownerId });
    await answer(id, how);
    const verdicts = (await Promise.all(connections)).map((decision) => decision.verdict);
    expect(verdicts).toEqual(Array(4).fill(verdict));
    expect(policy.pending()).toMatchObject([{ host: 'other.example', waiting: 1 }]);
    expect(events).toMatchObject([
      { type: 'egress.requested', requestId: id, host, port: 443, expiresAt: clock.now() + holdMs },
      { type: 'egress.requested', requestId: id, host, port: 22, expiresAt: clock.now() + holdMs },
      { type: 'egress.requested', host: 'other.example' },
      { type: 'egress.resolved', requestId: id, host, outcome: how === 'deny' ? 'denied' : how, by: agent.ownerId },
    ]);
    await answer((await until('the other', () => policy.pending()[0])).id, 'deny');
    expect((await other).verdict).toBe('deny');
  });

  test('`once` holds for these, and is asked again for the next', async () => {
    const first = connect();
    await answer(await asked(1), 'once');
    const once = { verdict: 'allow', rule: 'allowed once', internal: false, isOnce: true } as const;
    expect(await first).toEqual(once);
    expect((await policy.allows(agent.id, { host, port: 443 }, once)).verdict).toBe('allow');
    const ruled = { verdict: 'allow', rule: host, internal: false } as const;
    expect((await policy.allows(agent.id, { host, port: 443 }, ruled)).verdict).toBe('deny');
    const next = connect();
    await answer(await asked(1), 'deny');
    expect((await next).verdict).toBe('deny');
  });

  test('`agent` is a rule of that agent, with who and why; `always` one of all agents of its owner', async () => {
    const { agent: second } = await storedAgent(storage.agents, { ownerId: agent.ownerId });
    const first = connect();
    const id = await asked(1);
    await policy.answer(id, { answer: 'agent', by: agent.ownerId, why: 'the build' });
    expect(await first).toMatchObject({ verdict: 'allow', rule: host });
    expect(await rules.get({ kind: 'agent', agentId: agent.id })).toMatchObject({
      rules: [{ effect: 'allow', subject: { host, ports: [443] }, addedBy: agent.ownerId, why: 'the build' }],
    });
    expect((await connect()).verdict).toBe('allow');
    const others = connect(443, host, never, second);
    await answer(await asked(1), 'always');
    expect((await others).verdict).toBe('allow');
    const { agent: third } = await storedAgent(storage.agents, { ownerId: agent.ownerId });
    expect((await connect(443, host, never, third)).verdict).toBe('allow');
  });

  test('`always` also settles what other agents of the owner wait for', async () => {
    const { agent: second } = await storedAgent(storage.agents, { ownerId: agent.ownerId });
    const { agent: strange } = await storedAgent(storage.agents);
    const waiting = [connect(), connect(443, host, never, second), connect(443, host, never, strange)] as const;
    await until('all are asked', () => policy.pending().length === 3);
    await answer(
      (await until('a question', () => policy.pending().find((each) => each.agentId === agent.id))).id,
      'always',
    );
    expect((await Promise.all(waiting.slice(0, 2))).map(({ verdict }) => verdict)).toEqual(['allow', 'allow']);
    expect(policy.pending()).toMatchObject([{ agentId: strange.id }]);
    await policy[Symbol.asyncDispose]();
    expect((await waiting[2]).verdict).toBe('deny');
  });

  test('`deny` also denies what comes in the next five minutes, until the rules change', async () => {
    const first = connect();
    await answer(await asked(1), 'deny');
    await first;
    expect((await connect()).verdict).toBe('deny');
    expect(policy.pending()).toEqual([]);
    clock.advance(5 * 60_000);
    const later = connect();
    await answer(await asked(1), 'deny');
    await later;
    await rules.change({ kind: 'agent', agentId: agent.id }, { by: agent.ownerId, mode: 'ask' });
    const again = connect();
    await answer(await asked(1), 'once');
    expect((await again).verdict).toBe('allow');
  });
});

test('of several answers the first counts', async () => {
  const connection = connect();
  const id = await asked(1);
  const outcomes = await Promise.allSettled([answer(id, 'agent'), answer(id, 'deny'), answer(id, 'once')]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
  expect(outcomes[1]).toMatchObject({ reason: { code: 'EGRESS_REQUEST_NOT_FOUND' } });
  expect((await connection).verdict).toBe('allow');
  expect(events.filter(({ type }) => type === 'egress.resolved')).toHaveLength(1);
});

test('an answer that cannot be kept is told, and the question stays open', async () => {
  const many = Array.from({ length: 200 }, (_, n) => ({
    effect: 'allow' as const,
    subject: { host: `h${n}.example`, ports: [443] },
    expiresAt: null,
    why: null,
  }));
  await rules.change({ kind: 'agent', agentId: agent.id }, { by: agent.ownerId, add: many });
  const connection = connect();
  const id = await asked(1);
  await expect(answer(id, 'agent')).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
  expect(policy.findPending(id)).toMatchObject({ waiting: 1 });
  await answer(id, 'once');
  expect((await connection).verdict).toBe('allow');
});

describe('without an answer', () => {
  test('a connection is denied when its time is over, and the question ends', async () => {
    const connection = connect();
    await asked(1);
    clock.advance(holdMs - 1);
    expect(policy.pending()).toHaveLength(1);
    clock.advance(1);
    expect(await connection).toEqual({
      verdict: 'deny',
      rule: null,
      reason: `Nobody has allowed ${host}:443 in time.`,
    });
    expect(policy.pending()).toEqual([]);
    expect(events.at(-1)).toMatchObject({ type: 'egress.resolved', outcome: 'expired', by: null });
    expect(clock.timers).toBe(0);
  });

  test('a program that gives up leaves the question open, and finds the answer when it comes again', async () => {
    const gone = new AbortController();
    const first = connect(443, host, gone.signal);
    const id = await asked(1);
    gone.abort(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    expect(policy.findPending(id)).toMatchObject({ waiting: 0 });
    await answer(id, 'once');
    expect((await connect()).verdict).toBe('allow');
    const further = connect();
    await answer(await asked(1), 'deny');
    expect((await further).verdict).toBe('deny');
  });

  test('what was allowed once while nobody waited is no way to a port that nobody was asked about', async () => {
    const gone = new AbortController();
    const first = connect(443, host, gone.signal);
    const id = await asked(1);
    gone.abort(new Error('gone'));
    await expect(first).rejects.toThrow('gone');
    await answer(id, 'once');
    const other = connect(22);
    await answer(await asked(1), 'deny');
    expect((await other).verdict).toBe('deny');
  });

  test('a question that the rules answer meanwhile is settled by them', async () => {
    const [allowed, refused, open] = [connect(), connect(22), connect(443, 'other.example')];
    await until('all are asked', () => policy.pending().length === 2 && policy.pending()[0]?.waiting === 2);
    const rule = { effect: 'allow', subject: { host, ports: [443] }, expiresAt: null, why: null } as const;
    const deny = { ...rule, effect: 'deny', subject: { host, ports: [22] } } as const;
    await rules.change({ kind: 'operator' }, { by: agent.ownerId, add: [rule, deny] });
    expect((await allowed).verdict).toBe('allow');
    expect((await refused).verdict).toBe('deny');
    expect(policy.pending()).toMatchObject([{ host: 'other.example', waiting: 1 }]);
    expect(events.at(-1)).toMatchObject({ type: 'egress.resolved', host, outcome: 'ruled' });
    await policy[Symbol.asyncDispose]();
    expect((await open).verdict).toBe('deny');
    expect(events.at(-1)).toMatchObject({
      type: 'egress.resolved',
      host: 'other.example',
      outcome: 'expired',
      by: null,
    });
  });
});

describe('bounds', () => {
  test('connections for one host, hosts of one agent, and questions in all: what is beyond is denied at once', async () => {
    const waiting = Array.from({ length: mostWaitingForHost }, () => connect());
    await asked(mostWaitingForHost);
    expect(await connect()).toMatchObject({
      verdict: 'deny',
      reason: 'Too many connections wait for a decision already.',
    });
    waiting.push(...Array.from({ length: mostQuestionsOfAgent - 1 }, (_, n) => connect(443, `h${n}.example`)));
    await until('all are asked', () => policy.pending().length === mostQuestionsOfAgent);
    expect((await connect(443, 'one.more.example')).verdict).toBe('deny');
    for (let n = 1; n < mostQuestions / mostQuestionsOfAgent; n++) {
      const { agent: other } = await storedAgent(storage.agents);
      waiting.push(
        ...Array.from({ length: mostQuestionsOfAgent }, (_, h) => connect(443, `h${h}.example`, never, other)),
      );
    }
    await until('all are asked', () => policy.pending().length === mostQuestions);
    const { agent: last } = await storedAgent(storage.agents);
    expect((await connect(443, host, never, last)).verdict).toBe('deny');
    clock.advance(holdMs);
    expect(new Set((await Promise.all(waiting)).map(({ verdict }) => verdict))).toEqual(new Set(['deny']));
    expect(policy.pending()).toEqual([]);
    expect(clock.timers).toBe(0);
  });
});

test('through the gateway a held connection goes on when it is allowed, and stays while the rules still ask', async () => {
  const guest = undo.use(await openHostileGuest());
  guest.policy.rule = (target, signal) => policy.decide(agent.id, target, signal);
  guest.policy.again = (target, before) => policy.allows(agent.id, target, before);
  rules.onChanged(() => guest.policy.change());
  const asking = guest.ask(host);
  await answer(await asked(1), 'once');
  const attempt = await asking;
  expect(attempt.status).toBe(200);
  const request = `GET / HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`;
  attempt.stream.write(request);
  await until('it is through', () => guest.reached() !== '');
  await rules.change({ kind: 'operator' }, { by: agent.ownerId, mode: 'open' });
  attempt.stream.write(request);
  await until('more is through', () => guest.reached().length > 1.5 * request.length);
  await rules.change({ kind: 'agent', agentId: agent.id }, { by: agent.ownerId, mode: 'allowlist' });
  await guest.say(attempt, '');
  expect(await guest.recorded()).toMatchObject({ outcome: 'revoked', rule: null });
});

test('through the gateway what a rule let out is cut with the rule, though somebody has allowed another connection once', async () => {
  const answered = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
  const host200 = (socket: Socket): void => void socket.on('data', () => socket.write(answered));
  const guest = undo.use(await openHostileGuest({ host: host200 }));
  guest.policy.rule = (target, signal) => policy.decide(agent.id, target, signal);
  guest.policy.again = (target, before) => policy.allows(agent.id, target, before);
  rules.onChanged(() => guest.policy.change());
  const asking = guest.ask(host);
  await answer(await asked(1), 'once');
  const once = await asking;
  const request = `GET / HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`;
  const requests = (): number => guest.reached().split('GET').length - 1;
  once.stream.write(request);
  const scope = { kind: 'agent', agentId: agent.id } as const;
  const add = [{ effect: 'allow', subject: { host, ports: [443] }, expiresAt: null, why: null }] as const;
  const { rules: given } = await rules.change(scope, { by: agent.ownerId, add });
  const ruled = await guest.ask(host);
  expect(ruled.status).toBe(200);
  ruled.stream.write(request);
  await until('both are through', () => requests() === 2);
  await rules.change(scope, { by: agent.ownerId, remove: given.map(({ id }) => id) });
  await guest.say(ruled, '');
  expect(await guest.recorded()).toMatchObject({ outcome: 'revoked' });
  once.stream.write(request);
  await until('the other is still open', () => requests() === 3);
});
