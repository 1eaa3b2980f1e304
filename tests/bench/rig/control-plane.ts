import { repositoryRoot } from '../../../scripts/harness-install.ts';
import { startEnvironment, startFlags } from '../../../scripts/start-options.mjs';
import { type ControlPlaneProcess, freePort, spawnControlPlane } from '../../e2e/support/control-plane-process.ts';
import type { BenchContext } from './bench-context.ts';

interface ControlPlaneOptions {
  /** Default: a new one. */
  readonly dataDir?: string;
  /** Options of Node, beside those of `npm start`. */
  readonly flags?: readonly string[];
  /** Beside those of the benchmark. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A control plane in a process of its own, as `npm start` makes it, with the benchmark's model service. */
export async function startControlPlane(
  context: BenchContext,
  { dataDir, flags = [], settings = {} }: ControlPlaneOptions = {},
): Promise<ControlPlaneProcess> {
  return await spawnControlPlane({
    ...startEnvironment(repositoryRoot),
    NODE_OPTIONS: [...startFlags, ...flags].join(' '),
    CAISSON_PORT: String(await freePort()),
    CAISSON_DATA_DIR: dataDir ?? (await context.directory('data')),
    CAISSON_INSTANCE: context.instance,
    CAISSON_SANDBOX_IMAGE: context.image,
    CAISSON_MODEL_BASE_URL: context.model.baseUrl,
    CAISSON_MODEL_API_KEY: 'sk-bench',
    CAISSON_MAX_AGENTS_PER_USER: '100',
    ...settings,
  });
}
