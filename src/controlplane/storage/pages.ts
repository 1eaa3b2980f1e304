import type { Page, PageRequest } from '../../agents/ports.ts';
import { CaissonError } from '../../kernel/errors.ts';

type Listing = 'agents' | 'conversations' | 'messages' | 'runs';

const maxLimit = 200;

/**
 * A listing from the newest row to the oldest. Its cursor names the last row that was shown, so rows that are added or
 * deleted meanwhile neither repeat nor hide others.
 */
export interface PageStart {
  /** Rows to read: one more than the page holds, to know whether another follows. */
  readonly rows: number;
  /** Read rows whose ordinal is lower. */
  readonly before: number;
}

/** Errors: BAD_REQUEST for a limit outside 1 to 200 and for a cursor that is not one of this listing. */
export function startPage(listing: Listing, page: PageRequest): PageStart {
  if (!Number.isInteger(page.limit) || page.limit < 1 || page.limit > maxLimit) {
    throw new CaissonError('BAD_REQUEST', `The limit of a page is ${page.limit}; it must be from 1 to ${maxLimit}.`);
  }
  const before = page.cursor === null ? Number.MAX_SAFE_INTEGER : readCursor(listing, page.cursor);
  return { rows: page.limit + 1, before };
}

export function toPage<Row extends { readonly ordinal: number }, T>(
  listing: Listing,
  start: PageStart,
  rows: readonly Row[],
  map: (row: Row) => T,
): Page<T> {
  const shown = rows.slice(0, start.rows - 1);
  const last = shown.at(-1);
  const more = rows.length > shown.length && last !== undefined;
  return { items: shown.map(map), nextCursor: more ? writeCursor(listing, last.ordinal) : null };
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
