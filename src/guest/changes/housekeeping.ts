import { errorText } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { Git } from './git.ts';
import type { CheckpointStore } from './store.ts';

/** Checkpoints between two collections. */
const collectEvery = 25;
/** How long after a checkpoint, so that the begin of a run is not disturbed. */
const delayMs = 60_000;
/** Above this size of the store half of the checkpoints is forgotten. */
const maxStoreKiB = 2 * 1024 * 1024;

/**
 * Keeps the store small: after every 25 checkpoints what no checkpoint needs is collected, in the background. What was
 * written in the last two hours stays, so it may run beside everything else.
 */
export class Housekeeping {
  readonly #git: Git;
  readonly #store: CheckpointStore;
  readonly #logger: Logger;
  readonly #stopped = new AbortController();
  #taken = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor({ git, store, logger }: { readonly git: Git; readonly store: CheckpointStore; readonly logger: Logger }) {
    this.#git = git;
    this.#store = store;
    this.#logger = logger;
  }

  checkpointTaken(): void {
    if (++this.#taken < collectEvery || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.collect()
        .catch((thrown: unknown) => {
          if (!this.#stopped.signal.aborted) {
            this.#logger.warn({ error: errorText(thrown) }, 'the checkpoints could not be collected');
          }
        })
        .finally(() => {
          this.#timer = undefined;
          this.#taken = 0;
        });
    }, delayMs);
    this.#timer.unref();
  }

  /** Now. Resolves when it is done. */
  async collect(): Promise<void> {
    const { signal } = this.#stopped;
    await this.#store.prune();
    const counts = (await this.#git.run({ args: ['count-objects', '-v'], signal })).toString();
    const size = (field: string): number => Number(new RegExp(`^${field}: (\\d+)$`, 'm').exec(counts)?.[1] ?? 0);
    if (size('size') + size('size-pack') > maxStoreKiB) {
      await this.#store.prune(Math.floor((await this.#store.list()).length / 2));
    }
    await this.#git.run({ args: ['gc', '--quiet', '--prune=2.hours.ago'], signal });
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stopped.abort(new Error('the guest stops'));
  }
}
