import type { ApiInputs, Change, FileDiff } from './api.ts';
import type { Calls } from './calls.ts';

interface Cancellable {
  readonly signal?: AbortSignal;
}

export type ReadChangesOptions = Omit<ApiInputs['changes']['status'], 'cursor' | 'limit'> & Cancellable;
export type ReadDiffOptions = Omit<ApiInputs['changes']['diff'], 'cursor' | 'limit'> & Cancellable;

/** Every file that changed, by path, read page by page as they are asked for. */
export async function* readChanges(
  changes: Calls['changes'],
  { signal, ...options }: ReadChangesOptions,
): AsyncGenerator<Change, void> {
  for (let cursor: string | null = null; ;) {
    const page: { items: Change[]; nextCursor: string | null } = await changes.status.query(
      { ...options, cursor, limit: 500 },
      signal === undefined ? {} : { signal },
    );
    yield* page.items;
    if (page.nextCursor === null) return;
    cursor = page.nextCursor;
  }
}

/** The unified diff of every file that changed, by path, read page by page as they are asked for. */
export async function* readDiff(
  changes: Calls['changes'],
  { signal, ...options }: ReadDiffOptions,
): AsyncGenerator<FileDiff, void> {
  for (let cursor: string | null = null; ;) {
    const page: { items: FileDiff[]; nextCursor: string | null } = await changes.diff.query(
      { ...options, cursor },
      signal === undefined ? {} : { signal },
    );
    yield* page.items;
    if (page.nextCursor === null) return;
    cursor = page.nextCursor;
  }
}
