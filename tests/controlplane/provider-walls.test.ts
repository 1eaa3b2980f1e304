import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startControlPlane } from '../../src/controlplane/index.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import { ProcessProvider } from '../doubles/process-provider.ts';

test('a provider whose sandboxes are not sealed is refused at the start, and the data directory is let go', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'caisson-walls-'));
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(dataDir, { recursive: true }));
  const start = async () =>
    await startControlPlane({
      environment: { CAISSON_PORT: '0', CAISSON_DATA_DIR: dataDir },
      version: 'test',
      logger: silentLogger,
      provider: new ProcessProvider({ root: join(dataDir, 'sandboxes'), images: {} }),
    });
  const refusal = { code: 'CAPABILITY_UNSUPPORTED', details: { missing: expect.arrayContaining(['sealedNetwork']) } };
  await expect(start()).rejects.toMatchObject(refusal);
  await expect(start()).rejects.toMatchObject(refusal);
});
