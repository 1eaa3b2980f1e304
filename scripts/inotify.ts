import { writeFileSync } from 'node:fs';
import { inotifyFolder, isEngineHere, lowInotifyLimits } from '../src/kernel/inotify-limits.ts';
import { whyNoApt } from './apt.ts';

/**
 * Raises, until the next boot, what the kernel gives to all sandboxes together for watching files. Does so on Debian or Ubuntu,
 * as root, where the engine runs; where the machine refuses, it is said. Never throws.
 */
export function raiseInotifyLimits(log: (line: string) => void): void {
  if (whyNoApt() === undefined && isEngineHere(process.env)) raiseIn(inotifyFolder, log);
}

/** The same for the limits in `folder`. */
export function raiseIn(folder: string, log: (line: string) => void): void {
  for (const { name, path, value, enough } of lowInotifyLimits(folder)) {
    try {
      writeFileSync(path, String(enough));
      log(`raised ${name} from ${value} to ${enough} until the next boot: all sandboxes share it to watch files`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log(
        `${name} is ${value}, and cannot be raised (${reason}): sandboxes may take the watching of files from each other`,
      );
    }
  }
}
