import { existsSync } from 'node:fs';
import { ExpectedError } from './expected-error.mjs';
import { findProgram, runCommand } from './run-command.ts';

/** Undefined where `aptInstall` can work (Debian or Ubuntu, as root), else what stands in the way. */
export function whyNoApt(): string | undefined {
  if (process.platform !== 'linux' || !existsSync('/etc/debian_version')) return 'this is not Debian or Ubuntu';
  if (findProgram('apt-get') === undefined) return 'there is no apt-get';
  if (process.getuid?.() !== 0) return 'this is not root';
  return undefined;
}

/** Installs Debian packages without asking anything, waiting up to 2 minutes for another apt to end. */
export async function aptInstall(packages: readonly string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = ['-qq', '-o', 'DPkg::Lock::Timeout=120'];
  const purpose = `install ${packages.join(' ')}`;
  let updateFailure = '';
  try {
    await runCommand({ program: 'apt-get', args: [...options, 'update'], purpose: 'read the package lists', env });
  } catch (error) {
    // One broken source of several need not matter. Told if the installation fails as well.
    if (!(error instanceof ExpectedError)) throw error;
    updateFailure = error.message;
  }
  try {
    const args = [...options, 'install', '-y', '--no-install-recommends', ...packages];
    await runCommand({ program: 'apt-get', args, purpose, env });
  } catch (error) {
    if (updateFailure === '' || !(error instanceof ExpectedError)) throw error;
    throw new ExpectedError(`${updateFailure}\n${error.message}`);
  }
}
