import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { examineControlPlane } from '../../../src/cli/doctor/control-plane-findings.ts';

afterEach(() => void vi.restoreAllMocks());

test('a control plane that takes a question and does not answer is missing, by what it does', async () => {
  const patience = new AbortController();
  vi.spyOn(AbortSignal, 'timeout').mockReturnValue(patience.signal);
  const silent = createServer(() => patience.abort()).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const { findings } = await examineControlPlane({ CAISSON_URL: url, CAISSON_API_KEY: 'ck_x' });
  silent.close();
  expect(findings).toContainEqual({
    what: 'control plane',
    state: 'missing',
    says: `is there at ${url} and does not answer within 10 s`,
    remedy: expect.stringContaining('processor time'),
  });
});
