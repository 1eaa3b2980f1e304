import type { AgentStore } from '../../../agents/ports.ts';
import type { Clock } from '../../../kernel/clock.ts';
import { CaissonError } from '../../../kernel/errors.ts';
import { type AgentId, newSecretId, type SecretId, type UserId } from '../../../kernel/ids.ts';
import type { Logger } from '../../../kernel/logger.ts';
import { AgentPages } from '../agent-pages.ts';
import type { EgressTarget } from '../ports.ts';
import { targetText } from '../target.ts';
import { type Credential, credentialOf } from './credential.ts';
import type { SecretKeyring } from './keyring.ts';
import {
  authorityIdentity,
  type HostSecret,
  secretIdentity,
  type SecretForm,
  type SecretScope,
  type SecretStore,
  type StoredSecret,
} from './secret.ts';

interface HostSecretsOptions {
  readonly store: SecretStore;
  readonly agents: Pick<AgentStore, 'findAgent'>;
  readonly keyring: SecretKeyring;
  readonly clock: Pick<Clock, 'now'>;
  readonly logger: Logger;
}

interface NewSecret {
  readonly host: string;
  readonly port: number;
  readonly form: SecretForm;
  readonly value: string;
  readonly by: UserId;
}

/** A secret as its owner sees it: its value never comes back. */
export type ShownSecret = HostSecret & {
  /** False: the key that it was sealed with is gone. Connections to its host are refused. */
  readonly readable: boolean;
};

/**
 * Secrets for hosts: set, listed and removed by people, opened for the gateway alone. A change holds from the moment at which
 * it is stored; those that listen (`onChanged`) look again at what is open.
 */
export class HostSecrets implements Disposable {
  readonly #options: HostSecretsOptions;
  /** The secrets that agents use, sealed, by `targetText`. */
  readonly #pages: AgentPages<ReadonlyMap<string, StoredSecret>>;
  readonly #listeners = new Set<() => void>();

  constructor(options: HostSecretsOptions) {
    this.#options = options;
    this.#pages = new AgentPages(options.agents, async ({ id, ownerId }) => {
      const all = [
        ...(await options.store.listSecrets({ kind: 'user', userId: ownerId })),
        ...(await options.store.listSecrets({ kind: 'agent', agentId: id })),
      ];
      return new Map(all.map((secret) => [targetText(secret), secret])); // the last one counts
    });
  }

  /** Takes the place of one for the same host and port, and gets an id of its own. Errors: LIMIT_REACHED; AGENT_NOT_FOUND. */
  async set(scope: SecretScope, { value, by, ...place }: NewSecret): Promise<ShownSecret> {
    const { store, keyring, clock } = this.#options;
    const secret: HostSecret = {
      ...place,
      id: newSecretId(),
      scope,
      createdBy: by,
      createdAt: clock.now(),
      lastUsedAt: null,
    };
    await this.#change(() => store.putSecret({ ...secret, sealed: keyring.seal(value, secretIdentity(secret)) }));
    return { ...secret, readable: true };
  }

  /** In the order in which they were set. */
  async list(scope: SecretScope): Promise<readonly ShownSecret[]> {
    const all = await this.#options.store.listSecrets(scope);
    return all.map(({ sealed, ...secret }) => ({ ...secret, readable: this.#isReadable({ ...secret, sealed }) }));
  }

  /** Connections that use it are cut. Errors: SECRET_NOT_FOUND. */
  async remove(scope: SecretScope, id: SecretId): Promise<void> {
    const isGone = await this.#change(() => this.#options.store.removeSecret(scope, id));
    if (!isGone) throw new CaissonError('SECRET_NOT_FOUND', `There is no secret ${id} here.`);
  }

  /**
   * What connections of the agent to just this host and port carry, its own or its owner's; undefined for nothing. Errors: SECRET_UNREADABLE;
   * AGENT_NOT_FOUND.
   */
  async find(
    agentId: AgentId,
    target: EgressTarget,
  ): Promise<{ readonly secret: HostSecret; readonly credential: Credential } | undefined> {
    const stored = (await this.#pages.open(agentId)).get(targetText(target));
    if (stored === undefined) return undefined;
    const { sealed, ...secret } = stored;
    const value = this.#options.keyring.open(sealed, secretIdentity(secret));
    return { secret, credential: credentialOf(secret.form, value) };
  }

  /** Calls `listener`, which must not throw, when a secret was set or removed. What it returns ends that. */
  onChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Seals with the newest key what an older one has sealed, and tells the log what cannot be read. */
  async reseal(): Promise<void> {
    const { store, keyring, logger } = this.#options;
    const { secrets, authorities } = await store.listSealed();
    const unreadable = secrets.filter((secret) => !this.#isReadable(secret));
    if (unreadable.length > 0) {
      logger.warn(
        { secrets: unreadable.length },
        'secrets for hosts cannot be read with the key that is here; connections to these hosts are refused',
      );
    }
    for (const { sealed, ...secret } of secrets) {
      const after = this.#renewed(sealed, secretIdentity(secret));
      if (after !== undefined) await store.resealSecret(secret.id, sealed, after);
    }
    for (const { sealed, ...authority } of authorities) {
      const after = this.#renewed(sealed, authorityIdentity(authority));
      if (after !== undefined) await store.resealAuthority(authority.agentId, sealed, after);
    }
    this.#pages.forget();
    logger.debug({ keyVersion: keyring.version }, 'secrets are sealed with the newest key');
  }

  [Symbol.dispose](): void {
    this.#listeners.clear();
  }

  async #change<T>(change: () => Promise<T>): Promise<T> {
    try {
      return await change();
    } finally {
      this.#pages.forget(); // also where it is not known whether it was stored
      for (const listener of this.#listeners) listener();
    }
  }

  /** Undefined where there is nothing to do, or nothing that can be done. */
  #renewed(sealed: StoredSecret['sealed'], identity: string): StoredSecret['sealed'] | undefined {
    const { keyring } = this.#options;
    if (sealed.keyVersion === keyring.version) return undefined;
    try {
      return keyring.seal(keyring.open(sealed, identity), identity);
    } catch {
      return undefined; // told above; an authority that cannot be read is made anew
    }
  }

  #isReadable({ sealed, ...secret }: StoredSecret): boolean {
    try {
      this.#options.keyring.open(sealed, secretIdentity(secret));
      return true;
    } catch {
      return false; // that is what is asked
    }
  }
}
