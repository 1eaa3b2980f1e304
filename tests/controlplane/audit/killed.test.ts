import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { AuditRecord } from '../../../src/controlplane/audit/record.ts';
import { startProcess } from '../storage/child-process.ts';
import { AuditFixture } from './audit-fixture.ts';

const program = fileURLToPath(new URL('./recording-process.ts', import.meta.url));

test('after kill -9 what was told is recorded, what was under way is INTERRUPTED, each once, and the chain is whole', async () => {
  await using fixture = new AuditFixture();
  const told = new Set<string>();
  const begun = new Set<string>();
  for (let round = 0; round < 3; round++) {
    await using recorder = startProcess(program, fixture.directory.path);
    expect(await recorder.nextLine()).toBe('ready');
    const lines: string[] = [];
    while (lines.length < 40 + 7 * round) lines.push((await recorder.nextLine()) ?? '');
    lines.push(...(await recorder.kill()));
    for (const line of lines) {
      const [what = '', name = ''] = line.split(' ');
      (what === 'told' ? told : begun).add(`${round}:${name}`);
    }
    const { audit } = await fixture.open();
    expect(await audit.service.verify()).toMatchObject({ broken: null });
    await fixture.close();
  }
  const { audit, storage } = await fixture.open();
  const records: AuditRecord[] = [];
  for await (const text of audit.service.export(0)) {
    for (const line of text.trimEnd().split('\n')) records.push((JSON.parse(line) as { record: AuditRecord }).record);
  }
  const outcomes = new Map<string, string[]>();
  let round = -1;
  for (const { action, outcome } of records.toSorted((a, b) => a.seq - b.seq)) {
    if (action === 'call-0' && outcome === 'ok') round += 1;
    const name = `${round}:${action}`;
    outcomes.set(name, [...(outcomes.get(name) ?? []), outcome]);
  }
  for (const name of told) expect(outcomes.get(name)).toEqual(['ok']);
  for (const name of begun)
    if (!told.has(name)) expect(outcomes.get(name)).toEqual([expect.stringMatching(/^(ok|INTERRUPTED)$/)]);
  expect([...begun].filter((name) => outcomes.get(name)?.[0] === 'INTERRUPTED').length).toBeGreaterThan(20);
  expect(await storage.audit.listOpen()).toEqual([]);
});

test('calls in sandboxes that were written before kill -9 are there, and those that went on are INTERRUPTED', async () => {
  await using fixture = new AuditFixture();
  {
    await using recorder = startProcess(program, fixture.directory.path, 'in-sandbox');
    expect([await recorder.nextLine(), await recorder.nextLine()]).toEqual(['ready', 'written']);
    await recorder.kill();
  }
  const { audit, storage } = await fixture.open();
  const { items } = await audit.service.search({}, { limit: 50, cursor: null });
  const outcomes = items.map(({ action, outcome }) => `${action} ${outcome}`).toReversed();
  expect(outcomes).toEqual([
    ...[0, 2, 4, 6, 8].map((each) => `call-${each} ok`),
    ...[1, 3, 5, 7, 9].map((each) => `call-${each} INTERRUPTED`),
  ]);
  expect(await audit.service.verify()).toMatchObject({ broken: null, records: 10 });
  expect(await storage.audit.listOpen()).toEqual([]);
});
