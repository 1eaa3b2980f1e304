import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/kernel/clock.ts';
import { runHarness, type RunningHarness } from './running-harness.ts';

const image = fileURLToPath(new URL('../../images/sandbox/', import.meta.url));
const programs = path.join(image, 'node_modules/.bin');

/** Real Codex on this machine, with the sandbox image's configuration and `modelUrl` in the place of the guest's endpoint. */
export function codexHarness(modelUrl: string): RunningHarness {
  if (!existsSync(path.join(programs, 'codex-acp'))) {
    throw new Error('Codex is not installed: run `npm run setup`, or `npm ci` in images/sandbox.');
  }
  const directory = mkdtempSync(path.join(tmpdir(), 'codex-harness-'));
  const home = path.join(directory, 'home');
  const codexHome = path.join(home, '.codex');
  const workspace = path.join(directory, 'workspace');
  for (const made of [codexHome, workspace]) mkdirSync(made, { recursive: true });
  const config = readFileSync(path.join(image, 'etc/codex/config.toml'), 'utf8');
  const shortRetries = config.replaceAll(/^((?:request|stream)_max_retries) = \d+$/gm, '$1 = 1');
  writeFileSync(
    path.join(codexHome, 'config.toml'),
    shortRetries.replace(/^base_url = .*$/m, `base_url = "${modelUrl}"`),
  );
  cpSync(path.join(image, 'etc/codex/rules'), path.join(codexHome, 'rules'), { recursive: true });
  return runHarness({
    profile: 'codex',
    directory,
    workspace,
    clock: systemClock,
    model: null,
    environment: { PATH: `${programs}:${process.env['PATH'] ?? ''}`, HOME: home, CODEX_HOME: codexHome },
  });
}

/** Where the ripgrep is that comes with Codex, and which the image has on its PATH. */
export function ripgrepFolder(): string {
  const [program] = globSync(path.join(image, 'node_modules/@openai/codex-linux-*/vendor/*/codex-path/rg'));
  if (program === undefined)
    throw new Error('Codex is not installed: run `npm run setup`, or `npm ci` in images/sandbox.');
  return path.dirname(program);
}
