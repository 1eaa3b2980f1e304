import { readFile } from 'node:fs/promises';
import { CaissonError } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { SteadyClock } from '../../kernel/steady-clock.ts';
import type { KeyService } from '../auth/key-service.ts';
import type { Config } from '../config.ts';
import type { IdentityProvider } from './identity-provider.ts';
import { LoginAttempts } from './login-attempts.ts';
import { LoginService } from './login-service.ts';
import type { LoginStore } from './login-store.ts';
import { Passwords } from './passwords.ts';
import type { SessionLog } from './session-log.ts';
import { SessionService } from './session-service.ts';
import { WebOrigin } from './web-origin.ts';

interface LoginOptions {
  readonly settings: Config['login'];
  readonly store: LoginStore;
  readonly keys: Pick<KeyService, 'ended'>;
  readonly log: SessionLog;
  readonly flushed: () => Promise<void>;
  readonly clock: SteadyClock;
  readonly logger: Logger;
}

/** What people sign in with. */
export interface OpenLogin {
  readonly sessions: SessionService;
  readonly logins: LoginService;
  readonly webOrigin: WebOrigin;
  readonly flushed: () => Promise<void>;
}

/** Errors: CONFIG_INVALID where the file of the client's secret cannot be read, or holds none. */
export async function openLogin({
  settings,
  store,
  keys,
  log,
  flushed,
  clock,
  logger,
}: LoginOptions): Promise<OpenLogin> {
  const { publicUrl, sessionIdleMs: idleMs, sessionLifeMs: lifeMs, oidc, openDomains } = settings;
  const sessions = new SessionService({ store, keys, log, clock, idleMs, lifeMs });
  const passwords = new Passwords();
  const provider = oidc === null ? null : await openProvider(oidc, logger);
  const attempts = new LoginAttempts(clock);
  const logins = new LoginService({ store, sessions, passwords, attempts, log, clock, provider, openDomains });
  return { sessions, logins, webOrigin: new WebOrigin(publicUrl), flushed };
}

/** Its library is loaded where it is used. */
async function openProvider(
  { issuer, clientId, ...secret }: NonNullable<Config['login']['oidc']>,
  logger: Logger,
): Promise<IdentityProvider> {
  const { IdentityProvider } = await import('./identity-provider.ts');
  const clientSecret = secret.clientSecret ?? (await secretIn(secret.clientSecretFile));
  return new IdentityProvider({ issuer, clientId, clientSecret }, logger);
}

async function secretIn(file: string | null): Promise<string | null> {
  if (file === null) return null;
  let text: string;
  try {
    text = (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new CaissonError('CONFIG_INVALID', `CAISSON_OIDC_CLIENT_SECRET_FILE=${file} cannot be read.`, { cause });
  }
  if (/^[\x21-\x7e]{1,4096}$/.test(text)) return text;
  throw new CaissonError('CONFIG_INVALID', `CAISSON_OIDC_CLIENT_SECRET_FILE=${file} does not hold a secret.`);
}
