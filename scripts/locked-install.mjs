import { execFile } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ExpectedError } from './expected-error.mjs';

/**
 * Makes `directory`/node_modules what `directory`/package-lock.json says, with `npm ci`. Does nothing when it already is.
 * npm's output is shown only when it fails. `flags` are further arguments for npm.
 */
export async function lockedInstall({ directory, title, log, flags = [] }) {
  if (matchesLock(directory)) return;
  log(`installing the ${title} from the lockfile (about 20 s)`);
  const started = performance.now();
  const npm = npmCommand();
  const args = [...npm.args, 'ci', '--no-audit', '--no-fund', '--loglevel=error', ...flags];
  await new Promise((resolve, reject) => {
    execFile(
      npm.program,
      args,
      { cwd: directory, env: installEnvironment(), maxBuffer: 16 << 20 },
      (error, stdout, stderr) => {
        if (error === null) resolve();
        else
          reject(
            new ExpectedError(`npm could not install the ${title} in ${directory}:\n${stdout}${stderr}`.trimEnd()),
          );
      },
    );
  });
  log(`installed the ${title} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
}

/** npm writes what it installed to node_modules/.package-lock.json, as its last act: compare that with the lockfile. */
function matchesLock(directory) {
  const hiddenLock = join(directory, 'node_modules', '.package-lock.json');
  if (!existsSync(hiddenLock)) return false;
  const wanted = readPackages(join(directory, 'package-lock.json'));
  const installed = readPackages(hiddenLock);
  const matches = (path) => JSON.stringify(wanted[path]) === JSON.stringify(installed[path]);
  return (
    Object.keys(installed).every(matches) &&
    // Optional packages for other platforms are left out by npm.
    Object.keys(wanted).every((path) => path === '' || path in installed || wanted[path].optional === true)
  );
}

function readPackages(path) {
  return JSON.parse(readFileSync(path, 'utf8')).packages;
}

/** The npm that started us, else the first on the PATH, run by this very Node. */
function npmCommand() {
  const own = process.env.npm_execpath;
  if (own?.endsWith('npm-cli.js') && existsSync(own)) return { program: process.execPath, args: [own] };
  const found = (process.env.PATH ?? '').split(delimiter).find((folder) => existsSync(join(folder, 'npm')));
  if (found === undefined) throw new ExpectedError('npm is missing: install Node.js with npm, then run this again.');
  return { program: process.execPath, args: [realpathSync(join(found, 'npm'))] };
}

/** Without what an outer `npm` run exports about its own project, which would steer the inner one. */
function installEnvironment() {
  const outer =
    /^npm_(config_(local_prefix|global_prefix|prefix|workspace|workspaces|include_workspace_root)|package_|lifecycle_|command)/i;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !outer.test(name)));
}
