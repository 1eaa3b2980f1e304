import { createSecureContext, type SecureContext } from 'node:tls';
import type { Clock } from '../../../kernel/clock.ts';
import type { AgentId } from '../../../kernel/ids.ts';
import type { Logger } from '../../../kernel/logger.ts';
import { goodUntil, type KeyPair, newAuthority, newLeaf } from './authority.ts';
import type { SecretKeyring } from './keyring.ts';
import { authorityIdentity, type SecretStore } from './secret.ts';

interface AuthoritiesOptions {
  readonly store: Pick<SecretStore, 'findAuthority' | 'putAuthority'>;
  readonly keyring: SecretKeyring;
  readonly clock: Pick<Clock, 'now'>;
  readonly logger: Logger;
}

interface Leaf {
  readonly context: SecureContext;
  /** When another is made, in milliseconds since the epoch. */
  readonly renewAt: number;
}

/** Certificates that are kept at hand; the ones used longest ago go first. */
const mostLeaves = 500;
const dayMs = 86_400_000;
/** What is left of a certificate when another is made: programs that keep connections must not see it end. */
const leafMarginMs = 10 * dayMs;
/** The same of an authority, of which a sandbox is told when the control plane attaches to it. */
const authorityMarginMs = 400 * dayMs;

/**
 * An authority for each agent, trusted by its own sandbox and by nobody else, and the certificates that it gives the gateway
 * for hosts with a secret. Its private key is sealed, and leaves this process nowhere.
 */
export class AgentAuthorities {
  readonly #options: AuthoritiesOptions;
  /** Those that are being read or made: each once at a time. */
  readonly #opening = new Map<AgentId, Promise<KeyPair>>();
  readonly #leaves = new Map<string, Leaf>();

  constructor(options: AuthoritiesOptions) {
    this.#options = options;
  }

  /** What the agent's sandbox is to trust, as PEM; made where there is none, or none that can be used. Errors: AGENT_NOT_FOUND. */
  async certificateOf(agentId: AgentId): Promise<string> {
    return (await this.#open(agentId, authorityMarginMs)).certificate;
  }

  /** As which host the gateway speaks to programs in the agent's sandbox. Errors: AGENT_NOT_FOUND. */
  async contextFor(agentId: AgentId, host: string): Promise<SecureContext> {
    const now = this.#options.clock.now();
    const key = `${agentId} ${host}`;
    const kept = this.#leaves.get(key);
    this.#leaves.delete(key);
    const leaf = kept !== undefined && now < kept.renewAt ? kept : await this.#newLeaf(agentId, host, now);
    this.#leaves.set(key, leaf);
    const oldest = this.#leaves.keys().next();
    if (this.#leaves.size > mostLeaves && oldest.done !== true) this.#leaves.delete(oldest.value);
    return leaf.context;
  }

  async #newLeaf(agentId: AgentId, host: string, now: number): Promise<Leaf> {
    const leaf = await newLeaf(await this.#open(agentId, 0), host, now);
    const context = createSecureContext({ key: leaf.privateKey, cert: leaf.certificate, minVersion: 'TLSv1.2' });
    return { context, renewAt: goodUntil(leaf) - leafMarginMs };
  }

  #open(agentId: AgentId, marginMs: number): Promise<KeyPair> {
    const opening =
      this.#opening.get(agentId) ?? this.#read(agentId, marginMs).finally(() => void this.#opening.delete(agentId));
    this.#opening.set(agentId, opening);
    return opening;
  }

  /** One that ends within `marginMs` counts as none. */
  async #read(agentId: AgentId, marginMs: number): Promise<KeyPair> {
    const { store, keyring, clock, logger } = this.#options;
    const stored = await store.findAuthority(agentId);
    if (stored !== undefined && clock.now() < goodUntil(stored) - marginMs) {
      try {
        return {
          certificate: stored.certificate,
          privateKey: keyring.open(stored.sealed, authorityIdentity(stored)),
        };
      } catch (err) {
        logger.warn({ agentId, err }, 'the authority of an agent cannot be read; it gets another one');
      }
    }
    const made = await newAuthority(`Caisson for ${agentId}`, clock.now());
    const identity = authorityIdentity({ agentId, certificate: made.certificate });
    await store.putAuthority({
      agentId,
      certificate: made.certificate,
      sealed: keyring.seal(made.privateKey, identity),
    });
    for (const key of this.#leaves.keys()) if (key.startsWith(`${agentId} `)) this.#leaves.delete(key);
    return made;
  }
}
