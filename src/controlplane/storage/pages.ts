import { type RawBuilder, sql } from 'kysely';
import type { Page, PageRequest } from '../../agents/ports.ts';
import { CaissonError } from '../../kernel/errors.ts';

type Listing =
  'agents' | 'conversations' | 'messages' | 'runs' | 'permissions' | 'model_calls' | 'egress_log' | 'audit';

const maxLimit = 200;

/**
 * Bytes of content that one page holds at most, besides its first row: pages of what sandboxes write are read, parsed
 * and sent in one go.
 */
const pageBytes = 1024 * 1024;

/**
 * A listing from the newest row to the oldest, or the other way round. Its cursor names the last row that was shown, so
 * rows that are added or deleted meanwhile neither repeat nor hide others.
 */
export interface PageStart {
  /** Rows to read: one more than the page holds, to know whether another follows. */
  readonly rows: number;
  /** Newest first: read rows whose ordinal is lower. */
  readonly before: number;
  /** Oldest first: read rows whose ordinal is higher. */
  readonly after: number;
}

/** Errors: BAD_REQUEST for a limit outside 1 to 200 and for a cursor that is not one of this listing. */
export function startPage(listing: Listing, page: PageRequest): PageStart {
  if (!Number.isInteger(page.limit) || page.limit < 1 || page.limit > maxLimit) {
    throw new CaissonError('BAD_REQUEST', `The limit of a page is ${page.limit}; it must be from 1 to ${maxLimit}.`);
  }
  const last = page.cursor === null ? undefined : readCursor(listing, page.cursor);
  return { rows: page.limit + 1, before: last ?? Number.MAX_SAFE_INTEGER, after: last ?? 0 };
}

export function toPage<Row extends { readonly ordinal: number }, T>(
  listing: Listing,
  start: PageStart,
  rows: readonly Row[],
  map: (row: Row) => T,
): Page<T> {
  const shown = rows.slice(0, start.rows - 1);
  return { items: shown.map(map), nextCursor: cursorAfter(listing, shown, rows) };
}

/** Bytes of a column of text, known without reading it. */
export function bytesOf(column: string): RawBuilder<number> {
  return sql<number>`octet_length(${sql.ref(column)})`;
}

/** As many rows from the first, of at most `most`, as fit into a page; one in any case. */
export function fitting<Row extends { readonly size: number }>(
  rows: readonly Row[],
  most: number,
  mostBytes: number = pageBytes,
): readonly Row[] {
  let bytes = 0;
  let count = 0;
  for (const { size } of rows.slice(0, most)) {
    bytes += size;
    if (count > 0 && bytes > mostBytes) break;
    count++;
  }
  return rows.slice(0, count);
}

/** The cursor of the page that showed the first of the rows that were read; null where it showed all. */
export function cursorAfter(
  listing: Listing,
  shown: readonly { readonly ordinal: number }[],
  read: readonly unknown[],
): string | null {
  const last = shown.at(-1);
  return read.length > shown.length && last !== undefined ? writeCursor(listing, last.ordinal) : null;
}

function writeCursor(listing: Listing, ordinal: number): string {
  return Buffer.from(`${listing}:${ordinal}`).toString('base64url');
}

function readCursor(listing: Listing, cursor: string): number {
  const ordinal = Number(
    Buffer.from(cursor, 'base64url')
      .toString()
      .slice(listing.length + 1),
  );
  if (Number.isSafeInteger(ordinal) && writeCursor(listing, ordinal) === cursor) return ordinal;
  throw new CaissonError('BAD_REQUEST', 'The cursor is not one of this listing.', {
    hint: 'Send the `nextCursor` of the page before, or none to start again.',
  });
}
