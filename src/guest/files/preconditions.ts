import type { BigIntStats } from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { etagOf } from './file-info.ts';

/** `if-match` and `if-none-match`, as HTTP has them: a list of quoted tags, or `*` for whatever is there. */
export interface Preconditions {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

/** Whether a list names what is there (`undefined`: nothing is). */
export function matches(list: string, stats: BigIntStats | undefined): boolean {
  if (stats === undefined) return false;
  if (list.trim() === '*') return true;
  const etag = etagOf(stats);
  return list.split(',').some((tag) => tag.trim() === etag);
}

/** FILE_CHANGED, with the present ETag in its details, where a write must not go on. */
export function checkBeforeWrite(path: string, stats: BigIntStats | undefined, conditions: Preconditions): void {
  const { ifMatch, ifNoneMatch } = conditions;
  const details = { path, etag: stats === undefined ? null : etagOf(stats) };
  if (ifMatch !== undefined && !matches(ifMatch, stats)) {
    const how = stats === undefined ? 'is not there (any more)' : 'was changed since';
    throw new CaissonError('FILE_CHANGED', `${JSON.stringify(path)} ${how}.`, { details });
  }
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, stats)) {
    if (ifNoneMatch.trim() !== '*')
      throw new CaissonError('FILE_CHANGED', `${JSON.stringify(path)} is as it was.`, { details });
    throw new CaissonError('FILE_EXISTS', `${JSON.stringify(path)} exists already.`, { details });
  }
}
