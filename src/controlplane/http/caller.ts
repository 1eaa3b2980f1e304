import type { Principal } from '../auth/identity.ts';
import type { KeyService } from '../auth/key-service.ts';
import { type BrowserRequest, requireSameOrigin } from '../login/same-origin.ts';
import { readCookie } from '../login/session-cookies.ts';
import type { WebOrigin } from '../login/web-origin.ts';

interface CallerOptions {
  readonly keys: Pick<KeyService, 'authenticate' | 'authenticateSession'>;
  readonly webOrigin: WebOrigin;
}

/**
 * Who calls: by the key in the Authorization header, or else by the session in a cookie of a request that our own pages send.
 *
 * @throws CaissonError UNAUTHORIZED; FORBIDDEN for the cookie with another site's request.
 */
export async function callerOf(request: BrowserRequest, { keys, webOrigin }: CallerOptions): Promise<Principal> {
  const { authorization, cookie, host } = request.headers;
  const secret = authorization === undefined ? readCookie(cookie, 'session', webOrigin) : undefined;
  if (secret === undefined) return await keys.authenticate(authorization);
  requireSameOrigin(request, webOrigin.of(host));
  return await keys.authenticateSession(secret);
}
