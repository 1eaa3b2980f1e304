import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentId } from '../../../src/kernel/ids.ts';
import { type RunningServer, startServer } from '../running-server.ts';

const value = 'ghp_this-is-the-secret-value';
const bearer = { kind: 'bearer' } as const;

let server: RunningServer;
let agentId: AgentId;
beforeAll(async () => {
  server = await startServer();
  const { data } = await server.mutate(server.alice, 'agents.create', { name: 'dev' });
  agentId = (data as { id: AgentId }).id;
});
afterAll(async () => {
  // In no answer, and in no line of the log.
  expect(JSON.stringify(server.log)).not.toContain(value);
  await server[Symbol.asyncDispose]();
});

test('a secret of an agent is set, listed without its value, replaced, and removed', async () => {
  const set = await server.mutate(server.alice, 'secrets.set', {
    agentId,
    host: 'GitHub.com.',
    form: { kind: 'basic', username: 'x-access-token' },
    value,
  });
  expect(set.data).toEqual({
    id: expect.stringMatching(/^sec-/),
    agentId,
    host: 'github.com',
    port: 443,
    form: { kind: 'basic', username: 'x-access-token' },
    readable: true,
    createdBy: server.alice.principal.userId,
    createdByName: 'alice',
    createdAt: expect.any(Number),
    lastUsedAt: null,
  });
  const again = await server.mutate(server.alice, 'secrets.set', { agentId, host: 'github.com', form: bearer, value });
  const listed = await server.query(server.alice, 'secrets.list', { agentId });
  expect(listed.data).toEqual({ items: [again.data] });
  expect(JSON.stringify([set, again, listed])).not.toContain(value);
  const { id: secretId } = again.data as { id: string };
  const ofNobody = await server.mutate(server.alice, 'secrets.remove', { secretId });
  expect(ofNobody.error?.code).toBe('SECRET_NOT_FOUND'); // it is of the agent, not of alice
  expect((await server.mutate(server.alice, 'secrets.remove', { agentId, secretId })).data).toEqual({});
  expect((await server.query(server.alice, 'secrets.list', { agentId })).data).toEqual({ items: [] });
});

test('a secret of a user is for that user’s agents, and for nobody else to see', async () => {
  const set = await server.mutate(server.alice, 'secrets.set', {
    host: 'npm.example.com',
    port: 8443,
    form: bearer,
    value,
  });
  expect(set.data).toMatchObject({ agentId: null, host: 'npm.example.com', port: 8443 });
  expect((await server.query(server.admin, 'secrets.list', {})).data).toEqual({ items: [] });
  const { id: secretId } = set.data as { id: string };
  expect((await server.mutate(server.admin, 'secrets.remove', { secretId })).error?.code).toBe('SECRET_NOT_FOUND');
  expect((await server.mutate(server.alice, 'secrets.remove', { secretId })).error).toBeUndefined();
});

test.each([
  ['a line break in the value', { value: `${value}\r\nX-Evil: 1` }],
  ['a line break at its end', { value: `${value}\n` }],
  ['a NUL in the value', { value: `${value}\0` }],
  ['a space before the value', { value: ` ${value}` }],
  ['a value that is too short', { value: 'ghp_12' }],
  ['a value that is too long', { value: value.repeat(400) }],
  ['letters that are not of ASCII in a header', { value: `${value}é` }],
  ['a line break in the password of a user', { form: { kind: 'basic', username: 'me' }, value: `${value}\r\n` }],
  ['a colon in the user name', { form: { kind: 'basic', username: 'me:too' } }],
  ['a line break in the user name', { form: { kind: 'basic', username: 'me\r\n' } }],
  ['no user name', { form: { kind: 'basic', username: '' } }],
  ['a header that is none', { form: { kind: 'header', header: 'X Y' } }],
  ['a header with a line break', { form: { kind: 'header', header: 'X-Y\r\nZ' } }],
  ['the Host header', { form: { kind: 'header', header: 'Host' } }],
  ['a header of the connection', { form: { kind: 'header', header: 'Transfer-Encoding' } }],
  ['the length of the body', { form: { kind: 'header', header: 'content-length' } }],
  ['a form that there is not', { form: { kind: 'cookie' } }],
  ['names under a host', { host: '*.example.com' }],
  ['an address', { host: '127.0.0.1' }],
  ['an address in another spelling', { host: '2130706433' }],
  ['an IPv6 address', { host: '[::1]' }],
  ['a host that is none', { host: 'exa mple.com' }],
  ['plain HTTP', { port: 80 }],
  ['a port that is none', { port: 0 }],
])('%s is refused, in words that do not hold the value', async (_name, change) => {
  const asked = { agentId, host: 'example.com', form: bearer, value, ...change };
  const { error } = await server.mutate(server.alice, 'secrets.set', asked);
  expect(error?.code).toBe('BAD_REQUEST');
  expect(JSON.stringify(error)).not.toContain(value);
  expect((await server.query(server.alice, 'secrets.list', { agentId })).data).toEqual({ items: [] });
});
