import { setTimeout as pass } from 'node:timers/promises';

/** Waits until `look` gives something other than undefined or false. Rejects after 20 s, naming what was awaited. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = Date.now() + 20_000;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`Waited 20 s in vain: ${what}`);
    await pass(10);
  }
}
