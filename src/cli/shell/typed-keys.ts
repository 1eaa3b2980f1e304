import type { TerminalAttachment } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';

/** More than anybody types or pastes at once. */
const mostWaitingBytes = 1024 * 1024;

/**
 * Keys on their way into a terminal, in order. They wait while the program takes none, or nothing is connected: up to a MiB of
 * them. What is more is dropped, as an observer's keys are, with a bell. Reading goes on all the while, since the next keys may
 * be those to leave.
 */
export class TypedKeys {
  readonly #bell: () => void;
  #waitingBytes = 0;

  constructor(bell: () => void) {
    this.#bell = bell;
  }

  /** Resolves when they were sent, or dropped. */
  async type(attachment: Pick<TerminalAttachment, 'write'>, keys: Uint8Array): Promise<void> {
    if (this.#waitingBytes + keys.length > mostWaitingBytes) return this.#bell();
    this.#waitingBytes += keys.length;
    try {
      await attachment.write(keys);
    } catch (thrown) {
      if (!(thrown instanceof CaissonError)) throw thrown;
      if (thrown.code === 'TERMINAL_NOT_DRIVING') this.#bell();
    } finally {
      this.#waitingBytes -= keys.length;
    }
  }
}
