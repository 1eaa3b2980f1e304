import type { ClientHttp2Session } from 'node:http2';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CaissonError, readErrorBody } from '../kernel/errors.ts';
import {
  errorTrailer,
  guestPaths,
  leaseHeader,
  maxJournalLineBytes,
  maxPermissionLineBytes,
} from './contract/guest-api.ts';
import { journalLineShape } from './contract/journal-bounds.ts';
import { type JournalEntry, journalEntrySchema } from './contract/journal-entry.ts';
import { decodeHeaderJson } from './header-json.ts';
import { hasJsonShape } from './json-shape.ts';
import { lineBatches } from './line-batches.ts';
import { brokenStream, openStream, refusalOf, responseStatus } from './requests.ts';

/**
 * What is read and stored in one go. Between two batches everything else that waits has its turn, so that a guest that
 * floods takes no more than its share: a batch takes a few milliseconds, the largest line some tens.
 */
const bounds = { maxLineBytes: maxJournalLineBytes, maxLines: 32, maxBatchBytes: 128 * 1024 } as const;

export interface JournalRead {
  readonly epoch: number;
  /** The last entry that was stored: the one after it comes first. 0 for all. */
  readonly after: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The guest's journal, live, in batches of what has arrived: at most 32 entries, and 128 KiB where it is more than one.
 * Never ends by itself: throws WIRE_LOST, STALE_LEASE, the signal's reason, or GUEST_PROTOCOL for an entry that is
 * malformed, too large or out of order.
 */
export async function* readJournalStream(
  session: ClientHttp2Session,
  { epoch, after, signal }: JournalRead,
): AsyncGenerator<readonly JournalEntry[], never> {
  const stream = openStream(session, {
    headers: { ':path': `${guestPaths.journal}?after=${after}`, [leaseHeader]: epoch },
    use: 'own',
    signal,
    endStream: true,
  });
  let farewell: CaissonError | undefined;
  stream.once('trailers', (trailers) => (farewell = readErrorBody(decodeHeaderJson(trailers[errorTrailer]))));
  const status = await responseStatus(stream, signal);
  if (status !== 200) throw await refusalOf(stream, status, signal);
  let seq = after;
  try {
    for await (const lines of lineBatches(stream, bounds)) {
      yield lines.map((line) => readEntry(line, ++seq));
      await nextTurn();
    }
  } catch (thrown) {
    throw thrown instanceof CaissonError ? thrown : brokenStream(stream, signal);
  }
  throw farewell ?? brokenStream(stream, signal);
}

/** Whatever is thrown over an entry is the guest's fault: GUEST_PROTOCOL. */
function readEntry(line: string, seq: number): JournalEntry {
  if (!hasJsonShape(line, journalLineShape)) {
    throw new CaissonError('GUEST_PROTOCOL', `Journal entry ${seq} is nested too deeply, or holds too many values.`);
  }
  let entry: ReturnType<typeof journalEntrySchema.safeParse>;
  try {
    entry = journalEntrySchema.safeParse(JSON.parse(line));
  } catch (thrown) {
    throw new CaissonError('GUEST_PROTOCOL', `Journal entry ${seq} is no JSON that can be read.`, { cause: thrown });
  }
  if (!entry.success) {
    // Of thousands of complaints the first says enough.
    const [issue] = entry.error.issues;
    const what = issue === undefined ? '' : `: ${issue.path.join('.').slice(0, 200)}: ${issue.message.slice(0, 200)}`;
    throw new CaissonError('GUEST_PROTOCOL', `Journal entry ${seq} is malformed${what}`);
  }
  if (entry.data.seq !== seq) {
    throw new CaissonError('GUEST_PROTOCOL', `Journal entry ${seq} is missing: the guest sent ${entry.data.seq}.`);
  }
  const { body } = entry.data;
  const isRequest = body.type === 'event' && body.event.type === 'permission.requested';
  if (isRequest && Buffer.byteLength(line) > maxPermissionLineBytes) {
    throw new CaissonError('GUEST_PROTOCOL', `The permission request of journal entry ${seq} is too large.`);
  }
  return entry.data;
}
