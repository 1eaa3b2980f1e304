import type { Principal } from '../auth/identity.ts';
import type { BrowserRequest } from '../login/same-origin.ts';

/**
 * Who calls, however often: see `callerOf`. For what is recorded of a call.
 *
 * @throws CaissonError UNAUTHORIZED, FORBIDDEN for the cookie of another site's request.
 */
export type Identify = (request: BrowserRequest) => Promise<Principal>;

/**
 * Who calls, where they may call so often: see `callerOf`. `calls`: as many as the request holds; default 1.
 *
 * @throws CaissonError UNAUTHORIZED, FORBIDDEN for the cookie of another site's request, RATE_LIMITED.
 */
export type Admit = (request: BrowserRequest, calls?: number) => Promise<Principal>;
