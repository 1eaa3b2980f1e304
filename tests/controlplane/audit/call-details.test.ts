import { anything, array, assert, constantFrom, dictionary, jsonValue, oneof, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson } from '../../../src/controlplane/audit/canonical-json.ts';
import { detailsOf, idsIn } from '../../../src/controlplane/audit/call-details.ts';
import { concealed, concealedCommand } from '../../../src/controlplane/audit/concealed.ts';
import { newInvitation } from '../../../src/controlplane/auth/invitation-secret.ts';
import { newKeySecret } from '../../../src/controlplane/auth/key-secret.ts';
import { newSessionSecret } from '../../../src/controlplane/auth/session-secret.ts';
import { newAgentId, newKeyId, newUserId } from '../../../src/kernel/ids.ts';

const mark = '‹concealed›';

test.each([
  ['curl -H "Authorization: Bearer abcdefgh12345"', `curl -H "Authorization: ${mark}"`],
  ['TOKEN=abc make', `TOKEN=${mark} make`],
  ['export AWS_SECRET_ACCESS_KEY=abc; ls', `export AWS_SECRET_ACCESS_KEY=${mark}; ls`],
  ['git clone https://ada:pass@host/x', `git clone https://${mark}@host/x`],
  ['echo ghp_0123456789abcdefABCDEF', `echo ${mark}`],
  ['echo sk-proj-0123456789abcdef', `echo ${mark}`],
  ['mysql --password hunter2 db', `mysql --password ${mark} db`],
  ["login --token='a b'", `login --token=${mark}`],
  ['npm test -- --grep tokens', 'npm test -- --grep tokens'],
  ['git push origin ci_deploy_all', 'git push origin ci_deploy_all'],
  ['ls -la /tmp', 'ls -la /tmp'],
])('%s → %s', (text, expected) => {
  expect(concealed(text)).toBe(expected);
});

test.each([
  ['key', newKeySecret],
  ['session', newSessionSecret],
  ['invitation', newInvitation],
])('a %s of ours is concealed', (_, make) => {
  expect(concealed(`echo ${make()} > file`)).toBe(`echo ${mark} > file`);
});

test.each(['-', 'a', 'a-', 'x-', 'a.', '-----BEGIN ', 'authorization '])(
  'a text of many times %j is read once',
  (part) => {
    const text = part.repeat(500_000);
    expect(concealed(text)).toBe(text); // one that is read anew from each of its places takes hours
  },
);

test('the argument behind an option whose name tells of a secret is concealed', () => {
  expect(concealedCommand(['gh', 'auth', '--with-token', 'abc', '-v'])).toEqual([
    'gh',
    'auth',
    '--with-token',
    mark,
    '-v',
  ]);
});

test('only fields that are meant to be seen are recorded, and of an environment the names', () => {
  const input = { path: 'a', content: 'b', message: 'c', env: { A: 'd' }, input: { data: 'e' }, invitation: 'f' };
  expect(detailsOf(input)).toEqual({ path: 'a', env: ['A'] });
});

test('of objects, and of lists of them, the same fields are recorded', () => {
  const add = [
    { effect: 'allow', host: '*.example.com', ports: [443, 8443], why: 'the mirror', secret: 'x' },
    { preset: 'npm', expiresIn: 1_000 },
  ];
  expect(
    detailsOf({ add, of: { user: 'ida', other: 'x' }, limits: { tokens: 'default', cost: null, disk: 5, deep: {} } }),
  ).toEqual({
    add: ['effect=allow host=*.example.com ports=443,8443 why=the mirror', 'preset=npm expiresIn=1000'],
    of: ['user=ida'],
    limits: ['tokens=default', 'cost=null', 'disk=5'],
  });
});

test('an object of which nothing is recorded is left out', () => {
  const of = { agentId: newAgentId() };
  expect(detailsOf({ of, env: {}, limits: { tokens: 5 } })).toEqual({ limits: ['tokens=5'] });
});

test('whatever is sent, details are bounded', () => {
  const field = constantFrom('path', 'command', 'name', 'from', 'paths', 'title', 'scopes', 'cwd', 'user');
  const value = oneof(string({ maxLength: 9_000 }), array(string({ maxLength: 900 }), { maxLength: 300 }), anything());
  assert(
    property(dictionary(field, value), (input) => {
      expect(JSON.stringify(detailsOf(input)).length).toBeLessThanOrEqual(4_200);
    }),
  );
  expect(detailsOf({ command: Array.from({ length: 300 }, () => 'x'.repeat(400)) })['command']).toContain('… [300]');
});

test('ids are found in inputs and answers, once each, and nothing that only looks like one', () => {
  const [agentId, keyId, userId] = [newAgentId(), newKeyId(), newUserId()];
  const answer = {
    key: { id: keyId, userId, secret: 'x' },
    agentId,
    again: { agentId },
    name: agentId,
    tokenId: 'abc',
  };
  expect(idsIn(answer)).toEqual([keyId, userId, agentId]);
});

test('equal values have equal canonical texts, whatever the order of their keys', () => {
  assert(
    property(dictionary(string(), jsonValue()), (value) => {
      const reversed = Object.fromEntries(Object.entries(value).toReversed());
      expect(canonicalJson(reversed)).toBe(canonicalJson(value));
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});
