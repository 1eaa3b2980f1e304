import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { asCommonJs, bundlerVersion } from './adapter-bundle.ts';
import { contentHash } from './content-hash.ts';
import { chosenBase, debianPackages, ensureDebianBase } from './debian-base.ts';
import {
  ensureClaudeHarness,
  ensureSandboxHarness,
  ensureSandboxNode,
  nodeVersion,
  repositoryRoot,
} from './harness-install.ts';
import type { SandboxCpu } from './harness-install.ts';
import { buildImage } from './image-build.ts';
import { ImageContext } from './image-context.ts';
import { withWholeCommandOutput } from './whole-command-output.ts';

const folder = join(repositoryRoot, 'images/sandbox');
/** Small files that go into the image as they are: from → to, mode. */
const configuration = [
  ['etc/codex/config.toml', '/etc/codex/config.toml', 0o644],
  ['etc/codex/no-authority.crt', '/etc/codex/no-authority.crt', 0o644],
  ['etc/codex/rules/default.rules', '/etc/codex/rules/default.rules', 0o644],
  ['etc/ssh/caisson.conf', '/etc/ssh/ssh_config.d/caisson.conf', 0o644],
  ['etc/apt/90caisson', '/etc/apt/apt.conf.d/90caisson', 0o644],
  ['etc/pip.conf', '/etc/pip.conf', 0o644],
  ['etc/wgetrc', '/etc/wgetrc', 0o644],
  ['run.cjs', '/opt/caisson/run.cjs', 0o644],
  ['fill-code-caches.sh', '/opt/caisson/fill-code-caches.sh', 0o644],
  ['start-adapter.mjs', '/opt/caisson/start-adapter.mjs', 0o644],
  ['fill-codex-home.sh', '/opt/caisson/fill-codex-home.sh', 0o644],
  ['codex-acp.sh', '/usr/local/bin/codex-acp', 0o755],
  ['npmrc', '/usr/local/lib/node_modules/npm/npmrc', 0o644],
] as const;
const harnessFolder = '/opt/caisson/harness/node_modules';
const codexFolders = { x64: 'x86_64-unknown-linux-musl', arm64: 'aarch64-unknown-linux-musl' } as const;

export interface BaseChoice {
  readonly cpu: SandboxCpu;
  readonly withClaude: boolean;
}

/** The tag of the base for `choice`: a hash over everything that it is made of, this file included. */
export async function sandboxBaseTag(choice: BaseChoice): Promise<string> {
  const files = ['Dockerfile', 'package-lock.json', ...configuration.map(([from]) => from)];
  if (choice.withClaude) files.push('claude/package-lock.json');
  const contents = await Promise.all(files.map((file) => readFile(join(folder, file))));
  const scripts = ['sandbox-base.ts', 'adapter-bundle.ts', 'whole-command-output.ts'];
  const ownSources = await Promise.all(scripts.map((file) => readFile(join(import.meta.dirname, file))));
  const node = await nodeVersion(choice.cpu);
  const choices = JSON.stringify([choice, chosenBase(), debianPackages, node, bundlerVersion]);
  return `caisson/sandbox-base:${contentHash(choices, ...ownSources, ...contents)}`;
}

/** Builds the base as `tag`, from nothing but the lockfiles, Debian and this repository. */
export async function buildSandboxBase(
  docker: Docker,
  tag: string,
  choice: BaseChoice,
  log: (line: string) => void,
): Promise<void> {
  const base = await ensureDebianBase(docker, choice.cpu, log);
  const harness = await ensureSandboxHarness(choice.cpu, log);
  await using context = await ImageContext.create();
  await context.write('Dockerfile', await readFile(join(folder, 'Dockerfile')));
  await context.add('layers/node/usr/local/bin/node', await ensureSandboxNode(choice.cpu, log));
  await addCodex(context, harness, choice.cpu);
  await addAdapter(context, harness);
  await addNpm(context, join(harness, 'npm'));
  await addPty(context, harness, choice.cpu);
  if (choice.withClaude) await addClaude(context, await ensureClaudeHarness(choice.cpu, log));
  for (const [from, to, mode] of configuration) {
    await context.write(`layers/config${to}`, await readFile(join(folder, from)), mode);
  }
  log('building the sandbox base (about 20 s)');
  const buildargs = { BASE_IMAGE: base.image, PACKAGES: debianPackages.join(' ') };
  await buildImage(docker, { context, tag, buildargs, network: !base.complete });
}

/** Codex's own programs. Its voice resources are 51 MB that a machine without a microphone has no use for. */
async function addCodex(context: ImageContext, harness: string, cpu: SandboxCpu): Promise<void> {
  const name = `@openai/codex-linux-${cpu}`;
  const root = `${harnessFolder}/${name}`;
  const programs = `${root}/vendor/${codexFolders[cpu]}`;
  await context.add(`layers/codex${root}`, join(harness, name), (path) => path.includes('/codex-resources/voice/'));
  await context.symlink('layers/codex/usr/local/bin/codex', `${programs}/bin/codex`);
  await context.symlink('layers/codex/usr/local/bin/bwrap', `${programs}/codex-resources/bwrap`);
  await context.symlink('layers/codex/usr/local/bin/rg', `${programs}/codex-path/rg`);
}

/** The adapter is one bundled file: the packages that it names as dependencies are in it, but for Codex's launcher. */
async function addAdapter(context: ImageContext, harness: string): Promise<void> {
  const name = '@agentclientprotocol/codex-acp';
  const bundle = 'dist/index.js';
  const target = `layers/adapters${harnessFolder}`;
  await context.add(`${target}/${name}`, join(harness, name), (path) => path === bundle || isNotForPrograms(path));
  const adapter = await readFile(join(harness, name, bundle), 'utf8');
  await context.write(`${target}/${name}/dist/index.cjs`, await asCommonJs(withWholeCommandOutput(adapter)));
  await context.add(`${target}/@openai/codex`, join(harness, '@openai/codex'), isNotForPrograms);
}

async function addNpm(context: ImageContext, source: string): Promise<void> {
  const root = '/usr/local/lib/node_modules/npm';
  const leaveOut = (path: string): boolean => /^(docs|man)\//.test(path) || isNotForPrograms(path);
  await context.add(`layers/npm${root}`, source, leaveOut);
  for (const name of ['npm', 'npx'])
    await context.symlink(`layers/npm/usr/local/bin/${name}`, `${root}/bin/${name}-cli.js`);
}

/** The terminals' native module, where an import from the guest's file finds it. */
async function addPty(context: ImageContext, harness: string, cpu: SandboxCpu): Promise<void> {
  for (const name of ['@lydell/node-pty', `@lydell/node-pty-linux-${cpu}`]) {
    await context.add(`layers/adapters/opt/caisson/node_modules/${name}`, join(harness, name), isNotForPrograms);
  }
}

async function addClaude(context: ImageContext, harness: string): Promise<void> {
  const root = '/opt/caisson/claude/node_modules';
  await context.add(`layers/adapters${root}`, harness, isNotForPrograms);
  const program = `${root}/@agentclientprotocol/claude-agent-acp/dist/index.js`;
  await context.symlink('layers/adapters/usr/local/bin/claude-agent-acp', program);
}

/** What only people and debuggers read: documentation, types and source maps. Licences stay. */
function isNotForPrograms(path: string): boolean {
  return /\.(md|markdown|map|d\.[cm]?ts)$/i.test(path) && !/licen[cs]e|notice/i.test(path);
}
