import * as z from 'zod';
import { CaissonError } from '../../kernel/errors.ts';
import { journalBounds } from './journal-bounds.ts';

/**
 * The ports of a sandbox, part of the guest's interface (see `guest-api.ts`).
 *
 * | method, path                | body            | answer                                             |
 * |-----------------------------|-----------------|----------------------------------------------------|
 * | GET  /v1/ports              |                 | PortList                                           |
 * | POST /v1/ports/:port/stream | bytes; trailers | bytes; trailers. Or an ErrorBody, before any byte |
 *
 * A stream is a TCP connection to what listens on loopback, or on any address. A side that has ended by itself says so in
 * `endTrailer`: what ends without it was cut. (It is no CONNECT for that: HTTP/2 allows no trailers there, and Node sends
 * the end of a stream before its reset, so that without them a cut looks like an end.)
 * Ports that open and close are told in the journal.
 */
export const portPaths = {
  list: '/v1/ports',
  stream: (port: number | ':port') => `/v1/ports/${port}/stream`,
} as const;

/** Trailer of either side of a stream. */
export const endTrailer = 'caisson-end';

/** Ports of one sandbox that are told of; further ones are not. */
export const mostListedPorts = 512;

/** Connections into one sandbox at the same time: half of what may wait in one session, so that processes and terminals go on. */
export const mostPortConnections = 128;

export function tooManyConnections(): CaissonError {
  return new CaissonError('LIMIT_REACHED', `${mostPortConnections} connections into the sandbox are open already.`, {
    hint: 'Close connections that you no longer need.',
  });
}

export const portSchema = z.int().min(1).max(65_535);

const command = z.string().max(journalBounds.id);

/** Who listens on a port. Both are null where that cannot be found out. */
export const portOwnerFields = {
  port: portSchema,
  pid: z.int().positive().nullable(),
  /** With its arguments, shortened to 500 characters. */
  command: command.nullable(),
};

export const listeningPortSchema = z.object({
  ...portOwnerFields,
  /** As they were bound: `127.0.0.1`, `::1`, or `0.0.0.0` and `::` for any. */
  addresses: z.array(z.string().max(64)).min(1).max(16).readonly(),
});
export type ListeningPort = z.infer<typeof listeningPortSchema>;

/** In the order of their numbers. */
export const portListSchema = z.object({ ports: z.array(listeningPortSchema).max(mostListedPorts).readonly() });
