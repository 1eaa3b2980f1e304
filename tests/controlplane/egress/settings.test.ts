import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../../src/controlplane/config.ts';
import { readExtraAuthorities } from '../../../src/controlplane/egress/extra-authorities.ts';
import { judge, type Judgement } from '../../../src/controlplane/egress/policy/judge.ts';
import type { EgressTarget } from '../../../src/controlplane/egress/ports.ts';
import { newAgentId, newUserId } from '../../../src/kernel/ids.ts';
import { testAuthority, testCertificate } from '../../doubles/internet/certificates.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caisson-authorities-'));
});
afterAll(() => rm(directory, { recursive: true }));

const userId = newUserId();
const unsaid = { mode: null, rules: [], version: 0, changed: null } as const;
/** Policies that nobody has changed. */
const layers = {
  operator: { ...unsaid, scope: { kind: 'operator' } },
  ceiling: { ...unsaid, scope: { kind: 'ceiling', userId } },
  user: { ...unsaid, scope: { kind: 'user', userId } },
  agent: { ...unsaid, scope: { kind: 'agent', agentId: newAgentId() } },
} as const;

/** What becomes of a connection by these settings alone. */
function judged(environment: Record<string, string>, target: EgressTarget): Judgement {
  return judge(target, layers, { defaults: loadConfig(environment).egress, now: 0 });
}

test('nothing is allowed by default', () => {
  expect(judged({}, { host: 'example.com', port: 443 })).toMatchObject({ verdict: 'deny', rule: null });
});

test.each([
  ['example.com', 443, true],
  ['example.com', 80, true],
  ['example.com', 22, false],
  ['sub.example.com', 443, false],
  ['a.b.wild.example', 443, true],
  ['wild.example', 443, false],
  ['notwild.example', 443, false],
  ['git.example', 22, true],
  ['git.example', 443, false],
  ['2606:4700::1111', 443, true],
])('%s at port %i is allowed: %s', (host, port, isAllowed) => {
  const allowed = 'Example.com, *.wild.example, git.example:22, [2606:4700:0::1111]';
  const { verdict } = judged({ CAISSON_EGRESS_ALLOW: allowed }, { host, port });
  expect(verdict).toBe(isAllowed ? 'allow' : 'deny');
});

test('an internal host is one at the port that it is named with, and no other', () => {
  const settings = { CAISSON_EGRESS_INTERNAL: 'git.corp.example:8443', CAISSON_EGRESS_ALLOW: 'git.corp.example' };
  const at = (port: number) => judged(settings, { host: 'git.corp.example', port });
  expect(at(8443)).toMatchObject({ verdict: 'allow', internal: true });
  expect(at(443)).toMatchObject({ verdict: 'allow', internal: false });
});

test.each([
  ['CAISSON_EGRESS_ALLOW', 'https://example.com'],
  ['CAISSON_EGRESS_ALLOW', '*'],
  ['CAISSON_EGRESS_ALLOW', 'a.*.example'],
  ['CAISSON_EGRESS_ALLOW', 'example.com:0'],
  ['CAISSON_EGRESS_ALLOW', 'example.com,'],
  ['CAISSON_EGRESS_ALLOW', 'example.com, 10.0.0.1'],
  ['CAISSON_EGRESS_ALLOW', '*.93.184.215.14'],
  ['CAISSON_EGRESS_INTERNAL', 'git.corp.example'],
])('%s=%s is refused', (name, value) => {
  expect(() => loadConfig({ [name]: value })).toThrow(new RegExp(`^${name}=`));
});

test('of a file of authorities, certificates are taken and nothing else', async () => {
  const file = join(directory, 'mixed.pem');
  await writeFile(file, `a comment\n${testAuthority}\nanother\n${testAuthority}`);
  expect(await readExtraAuthorities(file)).toBe(testAuthority + testAuthority);
  expect(await readExtraAuthorities(null)).toBe('');
});

test.each([
  ['no certificate', 'nothing'],
  ['a private key', `${testAuthority}\n${testCertificate.key}`],
  ['a certificate that is broken', testAuthority.replace('MII', 'AAA')],
  ['more than fits', testAuthority.repeat(1_000)],
])('a file of authorities with %s is refused', async (_name, content) => {
  const file = join(directory, 'refused.pem');
  await writeFile(file, content);
  await expect(readExtraAuthorities(file)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});

test('a file of authorities that is not there is refused', async () => {
  await expect(readExtraAuthorities(join(directory, 'none.pem'))).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
});
