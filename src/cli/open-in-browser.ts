import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stderr } from './output/sink.ts';

/** What opens a URL, by the operating system. */
const openers: Readonly<Partial<Record<NodeJS.Platform, string>>> = { darwin: 'open', win32: 'explorer' };

/** Opens a URL in the person's browser. Where there is none, it says so, and the URL is there to be copied. */
export async function openInBrowser(url: string): Promise<void> {
  const program = openers[process.platform] ?? 'xdg-open';
  try {
    const child = spawn(program, [url], { stdio: 'ignore', detached: true });
    await once(child, 'spawn');
    child.unref();
  } catch {
    await stderr.write(`No browser could be started (\`${program}\` is not there). Open the address yourself.\n`);
  }
}
