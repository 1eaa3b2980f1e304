import { watch } from 'node:fs';
import { errorText } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';

/**
 * The kernel counts inotify instances over all sandboxes of a machine, which run under one uid: any of them can use up the
 * rest. libuv makes one at the first watch of an event loop and keeps it as long as that lives, for all further watches: so
 * it is made now. A guest that gets none now asks again at each watch.
 */
export function takeInotify(folder: string, logger: Logger): void {
  try {
    watch(folder, { persistent: false }).close();
  } catch (thrown) {
    logger.warn({ error: errorText(thrown) }, 'there is no inotify instance left: files cannot be watched now');
  }
}
