import type { Principal } from '../auth/identity.ts';

/**
 * Who calls, by an Authorization header, where they may call so often. `calls`: as many as the request holds; default 1.
 *
 * @throws CaissonError UNAUTHORIZED, RATE_LIMITED.
 */
export type Admit = (authorization: string | undefined, calls?: number) => Promise<Principal>;
