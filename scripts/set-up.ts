// Everything that needs Node 24 before `start`, `test` or `bench` can run. Prints the sandbox image's reference on stdout.
import { ExpectedError } from './expected-error.mjs';
import { ensureChromium } from './chromium.ts';
import { ensureDockerEngine } from './docker-engine.ts';
import { ensureHostHarness } from './harness-install.ts';
import { raiseInotifyLimits } from './inotify.ts';
import { ensureSandboxImage } from './sandbox-image.ts';

const log = (line: string): void => console.error(`caisson: ${line}`);

async function setUp(command: string): Promise<string> {
  const docker = await ensureDockerEngine(log);
  raiseInotifyLimits(log);
  // Tests and benchmarks also drive the harness on this machine, beside the sandboxed one.
  if (command !== 'start') await ensureHostHarness(log);
  if (command === 'test') await ensureChromium(log);
  const chosen = process.env['CAISSON_SANDBOX_IMAGE'];
  if (chosen !== undefined && chosen !== '') return chosen;
  const { image } = await ensureSandboxImage({ docker, log });
  // What a control plane takes that is started without this set-up and without CAISSON_SANDBOX_IMAGE.
  await docker.getImage(image).tag({ repo: 'caisson/sandbox', tag: 'latest' });
  return image;
}

try {
  process.stdout.write(`${await setUp(process.argv[2] ?? 'setup')}\n`);
} catch (error) {
  if (!(error instanceof ExpectedError)) throw error;
  log(error.message);
  process.exitCode = 1;
}
