import { describe, expect, test } from 'vitest';
import { titleFrom } from '../../src/agents/conversation-title.ts';
import { until } from '../until.ts';
import { openDomain, text } from './domain-fixture.ts';

describe('a title from a message', () => {
  test.for([
    ['fix the build\nand then the docs', 'fix the build'],
    ['\n \n  fix\tit  ', 'fix it'],
    ['\u202Etxt\u0007', 'txt'],
    ['x'.repeat(80), 'x'.repeat(80)],
    ['x'.repeat(81), `${'x'.repeat(79)}…`],
    ['🦊'.repeat(100), `${'🦊'.repeat(79)}…`],
  ] as const)('is its first line, on one line and at most 80 characters: %j', ([said, title]) => {
    expect(titleFrom(text(said))).toBe(title);
  });

  test('comes from what is text; there is none where there is none', () => {
    const image = { type: 'other', block: { type: 'image' } } as const;
    expect(titleFrom([image, ...text('look')])).toBe('look');
    expect(titleFrom([image])).toBeUndefined();
  });
});

test('a conversation that nobody named is called by its first message; one that has a name keeps it', async () => {
  await using fixture = await openDomain();
  const { conversations, runs, events } = fixture.domain;
  const agent = await fixture.newAgent();
  await until('the guest', () => fixture.sandboxes.guests.get(agent.id));
  const say = async (conversationId: (typeof unnamed)['id'], said: string) =>
    await runs.start({ principalId: fixture.userId, conversationId, content: text(said) });
  const unnamed = await conversations.open({ agentId: agent.id });
  const named = await conversations.open({ agentId: agent.id, title: 'Plans' });
  await say(unnamed.id, 'fix the build\nplease');
  await say(unnamed.id, 'and the docs');
  await say(named.id, 'hello');
  expect((await conversations.get(unnamed.id)).title).toBe('fix the build');
  expect((await conversations.get(named.id)).title).toBe('Plans');
  const recorded = await events.read({ agentId: agent.id, after: 0, limit: 1_000 });
  expect(recorded.filter(({ type }) => type === 'conversation.titled')).toMatchObject([
    { conversationId: unnamed.id, title: 'fix the build' },
  ]);
});
