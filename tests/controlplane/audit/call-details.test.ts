import { anything, array, assert, constantFrom, dictionary, jsonValue, oneof, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson } from '../../../src/controlplane/audit/canonical-json.ts';
import { detailsOf, idsIn } from '../../../src/controlplane/audit/call-details.ts';
import { newAgentId, newKeyId, newUserId } from '../../../src/kernel/ids.ts';

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

test('of an input of very many long texts the first are looked over, and of the others is told how long they are', () => {
  const [long, first] = ['x'.repeat(8_000), `TOKEN=${'x'.repeat(8_000)}`];
  const add = Array.from({ length: 32 }, () => ({ host: first, name: first, path: first }));
  const details = detailsOf({ add, title: long, cwd: 'a' });
  expect(details).toMatchObject({ title: '… [8000 characters]', cwd: '… [1 characters]' });
  expect(JSON.stringify(details['add'])).not.toContain('x');
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
