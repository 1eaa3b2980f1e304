import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { stderr } from './output/sink.ts';

/** What opens a URL, by the operating system. */
const openers: Readonly<Partial<Record<NodeJS.Platform, string>>> = { darwin: 'open', win32: 'explorer' };

/** How long it is watched: one that finds no browser says so at once, one that is the browser goes on. */
const watchedMs = 2_000;

/** Opens a URL in the person's browser. Where there is none, it says so, and the URL is there to be copied. */
export async function openInBrowser(url: string): Promise<void> {
  const program = openers[process.platform] ?? 'xdg-open';
  const failure = await failureOf(program, url);
  if (failure === undefined) return;
  await stderr.write(`No browser could be started (\`${program}\` ${failure}). Open the address yourself.\n`);
}

async function failureOf(program: string, url: string): Promise<string | undefined> {
  const child = spawn(program, [url], { stdio: 'ignore', detached: true });
  const watched = new AbortController();
  try {
    const exitCode = await Promise.race([
      once(child, 'exit').then(([code]: (number | null)[]) => code),
      delay(watchedMs, 0, { signal: watched.signal }),
    ]);
    // The Explorer of Windows ends with 1 where all is well.
    return exitCode === 0 || process.platform === 'win32' ? undefined : `ended with ${exitCode ?? 'a signal'}`;
  } catch {
    return 'is not there';
  } finally {
    watched.abort();
    child.unref();
  }
}
