import type { SecureContext } from 'node:tls';
import type { AgentStore } from '../../../agents/ports.ts';
import type { Clock } from '../../../kernel/clock.ts';
import type { Logger } from '../../../kernel/logger.ts';
import type { EgressSecrets } from '../ports.ts';
import { AgentAuthorities } from './agent-authorities.ts';
import { HostSecrets } from './host-secrets.ts';
import type { SecretKeys } from './keyring.ts';
import { openKeyring } from './open-keyring.ts';
import type { SecretStore } from './secret.ts';
import { type SecretUseLog, SecretUses } from './secret-uses.ts';
import { outwardTrust } from './tls-sides.ts';

interface SecretsOptions {
  readonly store: SecretStore;
  readonly agents: Pick<AgentStore, 'findAgent'>;
  readonly dataDir: string;
  /** Null: those in the data directory. */
  readonly keys: SecretKeys | null;
  /** Of the operator, as PEM; empty for none. */
  readonly extraAuthorities: string;
  readonly useLog: SecretUseLog;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Secrets for hosts, for each of those who have to do with them. */
export interface Secrets extends AsyncDisposable {
  /** For people. */
  readonly hostSecrets: HostSecrets;
  /** For sandboxes. */
  readonly authorities: AgentAuthorities;
  readonly ofGateway: EgressSecrets;
}

/** Opens the keys, and stores anew what is under an older one. Errors: CONFIG_INVALID. */
export async function openSecrets(options: SecretsOptions): Promise<Secrets> {
  const { store, agents, dataDir, keys, extraAuthorities, useLog, clock, logger } = options;
  const keyring = await openKeyring({ dataDir, keys, logger });
  const hostSecrets = new HostSecrets({ store, agents, keyring, clock, logger });
  await hostSecrets.reseal();
  const authorities = new AgentAuthorities({ store, keyring, clock, logger });
  const uses = new SecretUses({ store, log: useLog, clock, logger });
  let trust: SecureContext | undefined;
  return {
    hostSecrets,
    authorities,
    ofGateway: {
      find: (agentId, target) => hostSecrets.find(agentId, target),
      onChanged: (listener) => hostSecrets.onChanged(listener),
      used: (agentId, secret) => uses.used(agentId, secret),
      identityFor: (agentId, host) => authorities.contextFor(agentId, host),
      // Made when it is first used: it reads every authority there is.
      get trust() {
        return (trust ??= outwardTrust(extraAuthorities));
      },
    },
    async [Symbol.asyncDispose]() {
      hostSecrets[Symbol.dispose]();
      await uses[Symbol.asyncDispose]();
    },
  };
}
