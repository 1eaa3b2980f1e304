import { aptInstall, whyNoApt } from './apt.ts';
import { ExpectedError } from './expected-error.mjs';
import { findProgram } from './run-command.ts';

const programs = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'] as const;

/** The path of a Chromium for the tests that need a browser. Installs Debian's where there is none and it can. */
export async function ensureChromium(log: (line: string) => void): Promise<string> {
  const found = findChromium();
  if (found !== undefined) return found;
  const obstacle = whyNoApt();
  if (obstacle !== undefined) {
    throw new ExpectedError(`no Chromium on PATH, and none can be installed here (${obstacle}): install Chromium.`);
  }
  log('installing chromium with apt-get for the browser tests (about 30 s)');
  await aptInstall(['chromium']);
  const installed = findChromium();
  if (installed === undefined) throw new ExpectedError('apt-get installed chromium, but no such program is on PATH.');
  return installed;
}

function findChromium(): string | undefined {
  for (const name of programs) {
    const path = findProgram(name);
    if (path !== undefined) return path;
  }
  return undefined;
}
