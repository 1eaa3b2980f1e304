import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { repositoryRoot } from '../../../scripts/harness-install.ts';
import { ensureSandboxImage } from '../../../scripts/sandbox-image.ts';
import type { SandboxProvider, SandboxSpec } from '../../../src/sandbox-providers/contract/index.ts';
import { openProvider } from '../../../src/sandbox-providers/registry.ts';
import { newAgentId } from '../../../src/kernel/ids.ts';
import { guestEnvironment } from '../../../src/wire/contract/guest-api.ts';
import { type CodexHome, HostCodex, makeCodexHome } from './host-codex.ts';
import { type ModelProcess, startModelProcess } from './model-process.ts';

/** What every part of the benchmark is given. Disposing it removes all that was made, sandboxes included. */
export interface BenchContext extends AsyncDisposable {
  readonly docker: Docker;
  readonly image: string;
  /** The name that the benchmark's sandboxes carry. */
  readonly instance: string;
  readonly provider: SandboxProvider;
  readonly model: ModelProcess;
  /** A new home for Codex on this machine: new to Codex too, as that of a new agent is. Default: the model service itself. */
  readonly newCodexHome: (modelUrl?: string) => Promise<CodexHome>;
  /** A new empty directory. */
  readonly directory: (name: string) => Promise<string>;
  /** What a control plane would ask of the provider for a new agent of default limits. */
  readonly sandboxSpec: () => SandboxSpec;
  /** Tells whoever watches what is going on. */
  readonly log: (line: string) => void;
}

export async function openBenchContext(log: (line: string) => void): Promise<BenchContext> {
  await using undo = new AsyncDisposableStack();
  const docker = new Docker();
  // The set-up of `npm run bench` has built it and says which it is.
  const image = process.env['CAISSON_SANDBOX_IMAGE'] ?? (await ensureSandboxImage({ docker, log })).image;
  await mkdir(join(repositoryRoot, '.caisson'), { recursive: true });
  const root = await mkdtemp(join(repositoryRoot, '.caisson/bench-'));
  undo.defer(() => rm(root, { recursive: true, force: true }));
  const codexRoot = await makeCodexRoot();
  undo.defer(() => rm(codexRoot, { recursive: true, force: true }));
  const instance = `bench-${process.pid}`;
  const provider = undo.use(await openProvider('docker', { instance }));
  undo.defer(() => destroyAll(provider));
  const model = undo.use(await startModelProcess());
  const directory = (name: string): Promise<string> => mkdtemp(join(root, `${name}-`));
  const codeCache = await directory('code-cache');
  const newCodexHome = async (modelUrl = model.baseUrl): Promise<CodexHome> =>
    await makeCodexHome(await mkdtemp(join(codexRoot, 'codex-')), { modelUrl, codeCache });
  await (await HostCodex.start(await newCodexHome())).end();
  const held = undo.move();
  return {
    docker,
    image,
    instance,
    provider,
    model,
    newCodexHome,
    directory,
    sandboxSpec: () => {
      const agentId = newAgentId();
      return {
        agentId,
        image,
        limits: { cpus: 2, memoryBytes: 2 * 1024 ** 3, pids: 512 },
        environment: {
          [guestEnvironment.agentId]: agentId,
          [guestEnvironment.harness]: 'codex',
          [guestEnvironment.model]: 'gpt-5.5',
        },
      };
    },
    log,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/**
 * In the user's cache. Not in Caisson's own tree: in a git repository Codex asks git about it in every turn, 5 ms that an
 * agent whose workspace is none does not spend. Nor in the system's temporary directory, where it puts no helpers.
 */
async function makeCodexRoot(): Promise<string> {
  const cache = join(homedir(), '.cache');
  await mkdir(cache, { recursive: true });
  return await mkdtemp(join(cache, 'caisson-bench-'));
}

async function destroyAll(provider: SandboxProvider): Promise<void> {
  for (const { agentId } of await provider.list()) await provider.destroy(agentId);
}
