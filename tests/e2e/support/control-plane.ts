import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureSandboxImage } from '../../../scripts/sandbox-image.ts';
import { type CaissonClient, createCaissonClient } from '../../../src/client/index.ts';
import { type ControlPlane, type StartOptions, startControlPlane } from '../../../src/controlplane/index.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import type { SandboxProvider } from '../../../src/sandbox-providers/contract/index.ts';
import { openProvider } from '../../../src/sandbox-providers/registry.ts';
import { type ScriptedModel, startScriptedModel } from '../../doubles/scripted-model.ts';

/** The key that the control plane adds to model requests in tests: what no sandbox may hold. */
export const modelKey = 'sk-test-the-real-key-0123456789abcdef';

export interface TestControlPlane extends AsyncDisposable {
  readonly url: string;
  readonly client: CaissonClient;
  readonly adminKey: string;
  readonly model: ScriptedModel;
  /** The same sandboxes, seen past the control plane. */
  readonly provider: SandboxProvider;
  readonly dataDir: string;
  readonly controlPlane: ControlPlane;
}

/** Settings of a control plane with a data directory, an instance name and a scripted model of its own. */
export async function testSettings(undo: AsyncDisposableStack): Promise<{
  readonly dataDir: string;
  readonly instance: string;
  readonly model: ScriptedModel;
  readonly environment: Record<string, string>;
  readonly provider: SandboxProvider;
}> {
  const dataDir = await mkdtemp(join(tmpdir(), 'caisson-e2e-'));
  undo.defer(() => rm(dataDir, { recursive: true, force: true }));
  const instance = `test-${dataDir
    .slice(-6)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, 'x')}-${process.pid}`;
  const provider = undo.use(await openProvider('docker', { instance }));
  undo.defer(() => destroyAll(provider));
  const model = undo.use(await startScriptedModel());
  const { image } = await ensureSandboxImage({ log: () => undefined });
  return {
    dataDir,
    instance,
    model,
    provider,
    environment: {
      CAISSON_PORT: '0',
      CAISSON_DATA_DIR: dataDir,
      CAISSON_INSTANCE: instance,
      CAISSON_SANDBOX_IMAGE: image,
      CAISSON_MODEL_BASE_URL: model.baseUrl,
      CAISSON_MODEL_API_KEY: modelKey,
    },
  };
}

interface TestOptions {
  readonly wrapProvider?: (real: SandboxProvider) => SandboxProvider;
  readonly resolveInternal?: NonNullable<StartOptions['resolveInternal']>;
}

/** A control plane in this process, on real Docker, with a scripted model service. Everything it made goes with it. */
export async function startTestControlPlane(
  overrides: Readonly<Record<string, string>> = {},
  { wrapProvider, resolveInternal }: TestOptions = {},
): Promise<TestControlPlane> {
  await using undo = new AsyncDisposableStack();
  const { dataDir, instance, model, environment, provider } = await testSettings(undo);
  const controlPlane = undo.use(
    await startControlPlane({
      environment: { ...environment, ...overrides },
      version: 'test',
      logger: silentLogger,
      ...(resolveInternal && { resolveInternal }),
      ...(wrapProvider && { provider: wrapProvider(await openProvider('docker', { instance })) }),
    }),
  );
  if (controlPlane.adminKey.state === 'unusable') throw new Error(controlPlane.adminKey.problem);
  const { url } = controlPlane;
  const adminKey = controlPlane.adminKey.secret;
  const held = undo.move();
  return {
    url,
    client: createCaissonClient({ url, apiKey: adminKey }),
    adminKey,
    model,
    provider,
    dataDir,
    controlPlane,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

async function destroyAll(provider: SandboxProvider): Promise<void> {
  for (const { agentId } of await provider.list()) await provider.destroy(agentId);
}
