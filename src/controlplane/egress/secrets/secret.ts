import type { AgentId, SecretId, UserId } from '../../../kernel/ids.ts';
import type { Sealed } from './keyring.ts';

/** Whose agents use it: all of a user, or one. That of an agent comes before that of its owner. */
export type SecretScope =
  { readonly kind: 'user'; readonly userId: UserId } | { readonly kind: 'agent'; readonly agentId: AgentId };

/** How the host is shown it. */
export type SecretForm =
  /** `Authorization: Bearer <value>`. */
  | { readonly kind: 'bearer' }
  /** `Authorization: Basic …`: what git asks of a person. */
  | { readonly kind: 'basic'; readonly username: string }
  /** A header of the host's own, in lower case. */
  | { readonly kind: 'header'; readonly header: string };

/** What is known of a secret: all but its value. */
export interface HostSecret {
  /** Another value has another id. */
  readonly id: SecretId;
  readonly scope: SecretScope;
  /** A name, canonical. Exactly this one. */
  readonly host: string;
  readonly port: number;
  readonly form: SecretForm;
  readonly createdBy: UserId;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** To the minute; null: never. */
  readonly lastUsedAt: number | null;
}

export interface StoredSecret extends HostSecret {
  readonly sealed: Sealed;
}

/** The authority of an agent's sandbox. */
export interface StoredAuthority {
  readonly agentId: AgentId;
  /** PEM. */
  readonly certificate: string;
  /** Its private key, as PEM. */
  readonly sealed: Sealed;
}

/** Secrets of one scope. */
export const mostSecrets = 100;

/** Where secrets are kept. */
export interface SecretStore {
  /** In the order in which they were set. */
  listSecrets(scope: SecretScope): Promise<readonly StoredSecret[]>;
  /** Takes the place of one for the same host and port. Errors: LIMIT_REACHED above `mostSecrets`; AGENT_NOT_FOUND. */
  putSecret(secret: StoredSecret): Promise<void>;
  /** False where there is none. */
  removeSecret(scope: SecretScope, id: SecretId): Promise<boolean>;
  touchSecret(id: SecretId, at: number): Promise<void>;
  /** Undefined: it has none. */
  findAuthority(agentId: AgentId): Promise<StoredAuthority | undefined>;
  /** Takes the place of one that was there. Errors: AGENT_NOT_FOUND. */
  putAuthority(authority: StoredAuthority): Promise<void>;
  /** All that is sealed. */
  listSealed(): Promise<{
    readonly secrets: readonly StoredSecret[];
    readonly authorities: readonly StoredAuthority[];
  }>;
  /** Seals anew what is still sealed as it was. */
  resealSecret(id: SecretId, before: Sealed, after: Sealed): Promise<void>;
  resealAuthority(agentId: AgentId, before: Sealed, after: Sealed): Promise<void>;
}

/** A text that no other scope has. */
export function secretScopeKey(scope: SecretScope): string {
  return scope.kind === 'user' ? `user:${scope.userId}` : `agent:${scope.agentId}`;
}

/** What a value is sealed with: put into another row, or sent to another host, it cannot be opened. */
export function secretIdentity({ id, scope, host, port, form }: Omit<HostSecret, 'lastUsedAt'>): string {
  const name = form.kind === 'basic' ? form.username : form.kind === 'header' ? form.header : '';
  return JSON.stringify(['secret', id, secretScopeKey(scope), host, port, form.kind, name]);
}

export function authorityIdentity({ agentId, certificate }: Omit<StoredAuthority, 'sealed'>): string {
  return JSON.stringify(['authority', agentId, certificate]);
}
