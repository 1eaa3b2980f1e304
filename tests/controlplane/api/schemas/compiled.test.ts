import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { agentSchema } from '../../../../src/controlplane/api/schemas/agent.ts';
import { compiled } from '../../../../src/controlplane/api/schemas/compiled.ts';
import { messageSchema } from '../../../../src/controlplane/api/schemas/conversation.ts';
import { pageSchema } from '../../../../src/controlplane/api/schemas/page.ts';
import { newAgentId, newUserId } from '../../../../src/kernel/ids.ts';

const plain = z.object({ items: z.array(agentSchema).readonly(), nextCursor: z.string().nullable() });
const page = pageSchema(agentSchema);

const agent = {
  id: newAgentId(),
  name: 'one',
  ownerId: newUserId(),
  ownerName: 'somebody',
  access: 'own',
  harness: 'codex',
  model: null,
  provider: 'docker',
  limits: { cpus: 2, memoryBytes: 1_024, pids: 64, diskBytes: null },
  disk: { state: 'ok', usedBytes: 1, limitBytes: null, method: 'du', measuredAt: 1 },
  createdAt: 1,
  deleting: false,
  sandbox: { state: 'failed', code: 'NO', message: 'No.' },
} as const;

test('a page leaves out what its schema does not name, at every depth', () => {
  const secret = { token: 'a secret' };
  const given = { items: [{ ...agent, ...secret, limits: { ...agent.limits, ...secret } }], nextCursor: null, secret };
  expect(page.parse(given)).toEqual({ items: [agent], nextCursor: null });
});

test('a page is refused, and in the same words, where zod refuses it', () => {
  const change = fc.oneof(
    fc.record({ key: fc.constantFrom(...Object.keys(agent)), value: fc.jsonValue() }),
    fc.constant({ key: 'sandbox', value: { state: 'running' } }),
  );
  const seen = { accepted: 0, refused: 0 };
  fc.assert(
    fc.property(change, ({ key, value }) => {
      const given = { items: [agent, { ...agent, [key]: value }], nextCursor: null };
      const [ours, zods] = [page.safeParse(given), plain.safeParse(given)];
      expect({ data: ours.data, issues: ours.error?.issues }).toEqual({ data: zods.data, issues: zods.error?.issues });
      seen[zods.success ? 'accepted' : 'refused']++;
    }),
    { numRuns: 500 },
  );
  expect(seen.accepted).toBeGreaterThan(0);
  expect(seen.refused).toBeGreaterThan(0);
});

test.each([
  ['agents', agentSchema],
  ['messages', messageSchema],
])('zod makes code of pages of %s', (_what, item) => {
  expect(() => z.compile(z.object({ items: z.array(item).readonly() }), { strict: true })).not.toThrow();
  expect(() => compiled(z.object({ items: z.array(item).readonly() }))).not.toThrow();
});
