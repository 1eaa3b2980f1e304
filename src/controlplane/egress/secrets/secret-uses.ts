import type { Clock } from '../../../kernel/clock.ts';
import type { AgentId } from '../../../kernel/ids.ts';
import type { Logger } from '../../../kernel/logger.ts';
import type { HostSecret, SecretStore } from './secret.ts';

/** A secret that was used, by whose agent and where. Never its value. */
interface SecretUse {
  readonly agentId: AgentId;
  readonly secret: HostSecret;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Hears of uses: at most once a minute of each secret by each agent. Must not throw. */
export interface SecretUseLog {
  used(use: SecretUse): void;
}

interface SecretUsesOptions {
  readonly store: Pick<SecretStore, 'touchSecret'>;
  readonly log: SecretUseLog;
  readonly clock: Clock;
  readonly logger: Logger;
}

const intervalMs = 60_000;

/** Tells of secrets that are used, and notes when. Keeps a timer for each secret and agent of the last minute. */
export class SecretUses implements AsyncDisposable {
  readonly #options: SecretUsesOptions;
  readonly #told = new Map<string, () => void>();
  readonly #touching = new Set<Promise<void>>();

  constructor(options: SecretUsesOptions) {
    this.#options = options;
  }

  used(agentId: AgentId, secret: HostSecret): void {
    const { store, log, clock, logger } = this.#options;
    const key = `${agentId} ${secret.id}`;
    if (this.#told.has(key)) return;
    this.#told.set(
      key,
      clock.schedule(intervalMs, () => this.#told.delete(key)),
    );
    const at = clock.now();
    log.used({ agentId, secret, at });
    const touching = store
      .touchSecret(secret.id, at)
      .catch((err: unknown) => logger.warn({ err, secretId: secret.id }, 'the use of a secret could not be noted'))
      .finally(() => this.#touching.delete(touching));
    this.#touching.add(touching);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cancel of this.#told.values()) cancel();
    this.#told.clear();
    await Promise.all(this.#touching);
  }
}
