// The way in for `npm start`, `npm test`, `npm run bench` and `npm run setup`. Plain JavaScript on Node's built-ins, because it runs
// before anything is installed and on whichever Node the machine has. Each step does nothing when there is nothing to do.
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lockedInstall } from './locked-install.mjs';
import { acquireLock } from './machine-lock.mjs';
import { findNode } from './node-runtime.mjs';
import { startEnvironment, startFlags } from './start-options.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const log = (line) => process.stderr.write(`caisson: ${line}\n`);
const bin = (name) => join(root, 'node_modules', '.bin', name);

/** What runs once everything is ready: a list of programs, each with its arguments. The first that fails ends it. */
const commands = {
  setup: () => [],
  start: (node, args) => [[node, [...startFlags, join(root, 'src/cli/main.ts'), 'start', ...args]]],
  test: (node, args) => [
    ['npm', ['run', '--silent', 'check']],
    [node, [bin('vitest'), 'run', ...args]],
  ],
  bench: (node, args) => [[node, [join(root, 'tests/bench/main.ts'), ...args]]],
};

process.exitCode = await main(process.argv[2], process.argv.slice(3)).catch((error) => {
  log(error.expected ? error.message : error.stack);
  return 1;
});

async function main(name, args) {
  const command = Object.hasOwn(commands, name ?? '') ? commands[name] : undefined;
  if (command === undefined) {
    log(`usage: node scripts/bootstrap.mjs ${Object.keys(commands).join('|')} [arguments]`);
    return 2;
  }
  // Files that end up in the image must be readable by everyone, whatever the caller's umask.
  process.umask(0o022);
  makePrivate(join(root, '.caisson'));
  const started = performance.now();
  const release = await acquireLock('set-up', { work: 'set-up', log });
  let node;
  let environment;
  try {
    await lockedInstall({ directory: root, title: 'dependencies', log });
    node = findNode(root);
    environment = { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}${delimiter}${process.env.PATH}` };
    const setup = await run(node, [join(root, 'scripts/set-up.ts'), name], environment, 'pipe');
    if (setup.code !== 0) return setup.code;
    environment.CAISSON_SANDBOX_IMAGE = setup.stdout.trim();
    if (name === 'start') Object.assign(environment, startEnvironment(root));
  } finally {
    release();
  }
  log(`ready in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  for (const [program, programArgs] of command(node, args)) {
    const { code } = await run(program, programArgs, environment, 'inherit');
    if (code !== 0) return code;
  }
  return 0;
}

/** The data directory of `start` is here too: it is made before a cache in it is, which others could read. */
function makePrivate(directory) {
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o700);
}

/** Runs a program in the repository's root with our terminal, forwarding signals. A death by signal reads as 128 + its number. */
function run(program, args, env, stdout) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, env, stdio: ['inherit', stdout, 'inherit'] });
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text) => (output += text));
    const forward = (signal) => {
      // Ctrl-C reaches every process of the terminal's foreground group by itself; once is enough.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, forward);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      for (const name of signals) process.off(name, forward);
      resolve({ code: code ?? 128 + constants.signals[signal], stdout: output });
    });
  });
}
