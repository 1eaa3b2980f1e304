import type { ClientHttp2Session } from 'node:http2';
import { CaissonError, readErrorBody } from '../kernel/errors.ts';
import { errorTrailer, guestPaths, leaseHeader, maxJournalLineBytes } from './contract/guest-api.ts';
import { type JournalEntry, journalEntrySchema } from './contract/journal-entry.ts';
import { decodeHeaderJson } from './header-json.ts';
import { lineBatches } from './line-batches.ts';
import { brokenStream, openStream, refusalOf, responseStatus } from './requests.ts';

export interface JournalRead {
  readonly epoch: number;
  /** The last entry that was stored: the one after it comes first. 0 for all. */
  readonly after: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The guest's journal, live, in batches of what has arrived. Never ends by itself: throws WIRE_LOST, STALE_LEASE,
 * the signal's reason, or GUEST_PROTOCOL for an entry that is malformed or out of order.
 */
export async function* readJournalStream(
  session: ClientHttp2Session,
  { epoch, after, signal }: JournalRead,
): AsyncGenerator<readonly JournalEntry[], never> {
  const stream = openStream(session, {
    headers: { ':path': `${guestPaths.journal}?after=${after}`, [leaseHeader]: epoch },
    signal,
    endStream: true,
  });
  let farewell: CaissonError | undefined;
  stream.once('trailers', (trailers) => (farewell = readErrorBody(decodeHeaderJson(trailers[errorTrailer]))));
  const status = await responseStatus(stream, signal);
  if (status !== 200) throw await refusalOf(stream, status, signal);
  let seq = after;
  try {
    for await (const lines of lineBatches(stream, maxJournalLineBytes)) {
      yield lines.map((line) => readEntry(line, ++seq));
    }
  } catch (thrown) {
    throw thrown instanceof CaissonError ? thrown : brokenStream(stream, signal);
  }
  throw farewell ?? brokenStream(stream, signal);
}

function readEntry(line: string, seq: number): JournalEntry {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (thrown) {
    throw new CaissonError('GUEST_PROTOCOL', `Journal entry ${seq} is not JSON.`, { cause: thrown });
  }
  const entry = journalEntrySchema.safeParse(value);
  if (!entry.success) {
    throw new CaissonError('GUEST_PROTOCOL', `Journal entry ${seq} is malformed.`, { cause: entry.error });
  }
  if (entry.data.seq !== seq) {
    throw new CaissonError('GUEST_PROTOCOL', `Journal entry ${seq} is missing: the guest sent ${entry.data.seq}.`);
  }
  return entry.data;
}
