import * as z from 'zod';

/**
 * Connections from a sandbox to the world: what the guest asks for on the channel `egress`.
 *
 * | method, path        | body            | answer                                            |
 * |---------------------|-----------------|---------------------------------------------------|
 * | POST /egress/stream | bytes; trailers | bytes; trailers. Or an ErrorBody, before any byte |
 *
 * Where to, stands in `egressHeaders`, as the program said it. A side that has ended by itself says so in `endTrailer`
 * (`ports.ts` says why). The errors: BAD_REQUEST for what is no host or port; EGRESS_DENIED and EGRESS_REFUSED, of which the
 * first is what the rules say, and the second what no rule can allow; EGRESS_UNREACHABLE; QUOTA_EXCEEDED; LIMIT_REACHED.
 */
export const egressPath = '/egress/stream';

export const egressHeaders = { host: 'caisson-egress-host', port: 'caisson-egress-port' } as const;

/** Connections of one sandbox at the same time, those included that are still being decided. */
export const mostEgressConnections = 512;

/** Where programs in a sandbox find the way out. Must equal what is in `images/sandbox/etc`. */
export const egressProxy = { host: '127.0.0.1', httpPort: 7778, socksPort: 7779 } as const;

/**
 * Certificate authorities that the sandbox trusts besides those of its image, as PEM; empty for none.
 *
 * | method, path  | body  | answer |
 * |---------------|-------|--------|
 * | PUT /v1/trust | Trust | {}     |
 *
 * Part of the guest's interface, see `guest-api.ts`. Asked before the guest is asked anything else.
 */
export const trustPath = '/v1/trust';

/** With the bundle of the image, it has to fit into the memory of the guest's run directory. */
export const maxTrustBytes = 256 * 1024;

export const trustSchema = z.object({ extraAuthorities: z.string().max(maxTrustBytes) });

/** In the guest's run directory. */
export const trustFiles = { bundle: 'ca-certificates.crt', extra: 'extra-ca.crt' } as const;
