import * as openid from 'openid-client';
import { z } from 'zod';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import type { Logger } from '../../kernel/logger.ts';
import { emailSchema } from './email.ts';
import type { ExternalIdentity } from './login-store.ts';

export interface IdentityProviderSettings {
  /** Exactly as the provider names itself. */
  readonly issuer: string;
  readonly clientId: string;
  /** Null: a public client, which has PKCE alone. */
  readonly clientSecret: string | null;
}

/** What the provider has said of who signed in there. */
export interface Arrival {
  readonly identity: ExternalIdentity;
  /** In lower case; null where the provider names none, or has not verified it. */
  readonly verifiedEmail: string | null;
}

/** What one sign-in is recognized by when it comes back. */
export interface PendingSignIn {
  readonly state: string;
  readonly nonce: string;
  readonly codeVerifier: string;
  readonly redirectUri: string;
}

const timeoutSeconds = 10;
/** How long what the provider says of itself is believed. */
const configurationAgeMs = 3_600_000;

/** What is no email is none: who is known by the identity comes in whatever has become of it. */
const claimsSchema = z.object({
  email: emailSchema.optional().catch(undefined),
  email_verified: z.boolean().optional().catch(undefined),
});

/**
 * An OpenID Connect provider, by `openid-client`: discovery, code flow with PKCE (S256), state and nonce; issuer, audience, times and
 * the signature of the ID token are checked.
 */
export class IdentityProvider {
  readonly #settings: IdentityProviderSettings;
  readonly #logger: Logger;
  #configuration: { readonly value: Promise<openid.Configuration>; readonly until: number } | undefined;

  constructor(settings: IdentityProviderSettings, logger: Logger) {
    this.#settings = settings;
    this.#logger = logger;
  }

  /** Where the browser is to go. Errors: LOGIN_UNAVAILABLE. */
  async begin(redirectUri: string): Promise<{ readonly url: string; readonly pending: PendingSignIn }> {
    const configuration = await this.#configured();
    const pending = {
      state: openid.randomState(),
      nonce: openid.randomNonce(),
      codeVerifier: openid.randomPKCECodeVerifier(),
      redirectUri,
    };
    const url = openid.buildAuthorizationUrl(configuration, {
      redirect_uri: redirectUri,
      scope: 'openid email',
      state: pending.state,
      nonce: pending.nonce,
      code_challenge: await openid.calculatePKCECodeChallenge(pending.codeVerifier),
      code_challenge_method: 'S256',
    });
    return { url: url.href, pending };
  }

  /** Who came back with `query`. Errors: UNAUTHORIZED where that is not what was begun, or the provider has refused; LOGIN_UNAVAILABLE. */
  async finish(query: string, pending: PendingSignIn): Promise<Arrival> {
    const configuration = await this.#configured();
    const url = new URL(pending.redirectUri);
    url.search = query;
    try {
      const tokens = await openid.authorizationCodeGrant(configuration, url, {
        expectedState: pending.state,
        expectedNonce: pending.nonce,
        pkceCodeVerifier: pending.codeVerifier,
        idTokenExpected: true,
      });
      const claims = tokens.claims();
      if (claims === undefined) throw new Error('The answer holds no ID token.');
      const said =
        claims['email'] === undefined
          ? await openid.fetchUserInfo(configuration, tokens.access_token, claims.sub)
          : claims;
      const { email, email_verified: isVerified } = claimsSchema.parse(said);
      const verifiedEmail = isVerified === true ? (email ?? null) : null;
      return { identity: { issuer: claims.iss, subject: claims.sub }, verifiedEmail };
    } catch (cause) {
      this.#logger.warn(
        { reason: errorText(cause), issuer: this.#settings.issuer },
        'a sign-in by OpenID Connect failed',
      );
      if (isAway(cause)) throw unavailable(cause);
      throw new CaissonError('UNAUTHORIZED', 'Signing in there did not succeed.', { hint: 'Try again.', cause });
    }
  }

  async #configured(): Promise<openid.Configuration> {
    const now = performance.now();
    if (this.#configuration === undefined || this.#configuration.until <= now) {
      this.#configuration = { value: this.#discover(), until: now + configurationAgeMs };
    }
    try {
      return await this.#configuration.value;
    } catch (thrown) {
      this.#configuration = undefined;
      throw thrown;
    }
  }

  async #discover(): Promise<openid.Configuration> {
    const { issuer, clientId, clientSecret } = this.#settings;
    // The setting allows that on loopback only.
    const insecure = issuer.startsWith('http:') ? [openid.allowInsecureRequests] : [];
    const authentication = clientSecret === null ? openid.None() : openid.ClientSecretBasic(clientSecret);
    try {
      return await openid.discovery(new URL(issuer), clientId, undefined, authentication, {
        execute: [...insecure, openid.enableNonRepudiationChecks],
        timeout: timeoutSeconds,
      });
    } catch (cause) {
      this.#logger.warn({ reason: errorText(cause), issuer }, 'the OpenID Connect provider does not answer as one');
      throw unavailable(cause);
    }
  }
}

function unavailable(cause: unknown): CaissonError {
  return new CaissonError('LOGIN_UNAVAILABLE', 'The identity provider does not answer.', { cause });
}

/** Whether the provider has failed to answer, rather than answered something: no connection, one that broke, too late, or a 5xx. */
function isAway(thrown: unknown): boolean {
  if (thrown instanceof Response) return thrown.status >= 500;
  if (!(thrown instanceof Error)) return false;
  // `openid-client` gives its own errors a code; `fetch` rejects with a bare TypeError whose cause is what happened.
  if ('code' in thrown && thrown.code === 'OAUTH_TIMEOUT') return true;
  if (thrown instanceof TypeError && !('code' in thrown) && thrown.cause instanceof Error) return true;
  return isAway(thrown.cause);
}
