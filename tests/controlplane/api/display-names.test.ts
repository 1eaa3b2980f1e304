import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentId } from '../../../src/kernel/ids.ts';
import { type RunningServer, startServer } from '../running-server.ts';

let server: RunningServer;
let agentId: AgentId;
beforeAll(async () => {
  server = await startServer();
  const { data } = await server.mutate(server.alice, 'agents.create', { name: 'worker', wait: true });
  agentId = (data as { id: AgentId }).id;
});
afterAll(() => server[Symbol.asyncDispose]());

const everyDisplayName = {
  'the user of a key': (name: string) => server.mutate(server.admin, 'keys.create', { user: name, name: 'k' }),
  'the name of a key': (name: string) => server.mutate(server.admin, 'keys.create', { user: 'someone', name }),
  'the title of a conversation': (name: string) =>
    server.mutate(server.alice, 'conversations.open', { agentId, title: name }),
  'the mode of a conversation': (name: string) =>
    server.mutate(server.alice, 'conversations.open', { agentId, mode: name }),
};

const hidden = 'must not hold control or format characters';

test.for(
  Object.entries(everyDisplayName).flatMap(([what, call]) =>
    (
      [
        ['half a surrogate pair', 'a\uD800b', 'must be well-formed Unicode'],
        ['a turn of the direction', 'nimda\u202E', hidden],
        ['an isolate', 'admin\u2066', hidden],
        ['a space without width', 'ad\u200Bmin', hidden],
        ['a byte order mark inside', 'ad\uFEFFmin', hidden],
        ['a tag character', 'admin\u{E0041}', hidden],
        ['an escape', 'admin\u001B[31m', hidden],
        ['a control of the second set', 'admin\u009B31m', hidden],
        ['a line separator', 'ad\u2028min', hidden],
      ] as const
    ).map(([why, name, message]) => ({ what, why, call, name, message })),
  ),
)('$what with $why is refused', async ({ call, name, message }) => {
  const { status, error } = await call(name);
  expect([status, error?.code]).toEqual([400, 'BAD_REQUEST']);
  expect(error?.message).toContain(message);
});

test.for(Object.entries(everyDisplayName))('%s can be in any script', async ([, call]) => {
  for (const name of ['Zoë', '漢字 名', 'имя', 'اسم', '😀 ok']) expect(await call(name)).toMatchObject({ status: 200 });
});
