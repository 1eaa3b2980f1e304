import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What is enough for some hundred sandboxes. The kernel counts by uid, and all sandboxes of an engine have the same. It takes
 * memory only for what is used: about 1 KiB a watch, of the sandbox's own.
 */
const enough = { max_user_instances: 8_192, max_user_watches: 1_048_576 } as const;

/** Where the kernel has the limits. */
export const inotifyFolder = '/proc/sys/fs/inotify';

export interface InotifyLimit {
  /** As sysctl has it. */
  readonly name: string;
  readonly path: string;
  readonly value: number;
  readonly enough: number;
}

/** The limits in `folder` that are lower than they should be; none where the kernel has no inotify. */
export function lowInotifyLimits(folder: string): readonly InotifyLimit[] {
  return Object.entries(enough).flatMap(([key, least]) => {
    const path = join(folder, key);
    const value = numberIn(path);
    return value !== undefined && value < least ? [{ name: `fs.inotify.${key}`, path, value, enough: least }] : [];
  });
}

/** Whether the engine shares this machine's kernel, as far as DOCKER_HOST says. */
export function isEngineHere({ DOCKER_HOST: host = '' }: Readonly<Record<string, string | undefined>>): boolean {
  return host === '' || host.startsWith('unix:');
}

function numberIn(path: string): number | undefined {
  try {
    const text = readFileSync(path, 'utf8').trim();
    return /^\d+$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined; // not Linux
  }
}
