import { hash as hashOf } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import type { AuditRecord, SealedRecord } from './record.ts';

/** The last link of a chain. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
}

/** What the first record follows. */
export const genesis: ChainHead = { seq: 0, hash: '0'.repeat(64) };

/** The hash of a record of this text, after a record of that hash. */
export function linkHash(previous: string, body: string): string {
  return hashOf('sha256', `${previous}\n${body}`);
}

export function seal(previous: string, record: AuditRecord): SealedRecord {
  const body = canonicalJson(record);
  return { record, body, hash: linkHash(previous, body) };
}
