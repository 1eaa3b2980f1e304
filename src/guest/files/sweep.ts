import { CaissonError, errorText } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import { isTemporaryName } from '../../kernel/temporary-name.ts';
import { maxDepth } from '../../wire/contract/files.ts';
import { type Confinement, Place } from './confinement.ts';
import { Pacer } from './pacer.ts';
import { removePlace } from './remove.ts';
import { walk } from './walk.ts';

/** Names looked at in one root: some seconds. Leftovers behind them stay until somebody removes them. */
const maxNames = 500_000;

interface Sweep {
  readonly confinement: Confinement;
  readonly roots: readonly string[];
  /** Nanoseconds since the epoch, by the clock of the file systems. */
  readonly before: bigint;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/**
 * Removes the unfinished files that a guest which was killed left in the roots: those of its names that last changed before this
 * one began. In slices, beside everything else; resolves when it is done, and never rejects.
 */
export async function sweep({ confinement, roots, before, signal, logger }: Sweep): Promise<void> {
  for (const root of roots) {
    try {
      await sweepRoot(confinement, root, before, signal);
    } catch (thrown) {
      if (signal.aborted) return;
      logger.warn({ root, error: errorText(thrown) }, 'unfinished files could not be looked for');
    }
  }
}

async function sweepRoot(confinement: Confinement, root: string, before: bigint, signal: AbortSignal): Promise<void> {
  using folder = confinement.pin(confinement.parse(Buffer.from(root)), { folder: true });
  let names = 0;
  await walk(
    folder,
    {
      async enter(parent, name, depth) {
        if (++names > maxNames) return false;
        const place = new Place(parent, name, parent.path);
        try {
          const stats = place.lookUp();
          if (!isTemporaryName(name)) return stats?.isDirectory() === true && depth < maxDepth;
          if (stats !== undefined && stats.ctimeNs < before) await removePlace(place, true, signal);
        } catch (thrown) {
          if (signal.aborted || !(thrown instanceof CaissonError)) throw thrown; // else it stays: not ours, or in use
        }
        return false;
      },
    },
    new Pacer(signal),
  );
}
