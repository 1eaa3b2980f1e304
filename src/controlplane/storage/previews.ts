import type { Kysely, Selectable } from 'kysely';
import type { AgentId, KeyId, PreviewId } from '../../kernel/ids.ts';
import type { Preview } from '../previews/preview.ts';
import type { Database, PreviewsTable } from './database.ts';
import { nextOrdinal } from './ordinals.ts';

interface Insertion {
  readonly tokenHash: string;
  readonly mostActive: number;
  readonly mostKept: number;
}

/** Needs a transaction. */
export async function insert(db: Kysely<Database>, preview: Preview, options: Insertion): Promise<boolean> {
  const { agentId, createdAt: now } = preview;
  const kept = await list(db, agentId);
  const isActive = ({ revokedAt, expiresAt }: Preview): boolean => revokedAt === null && expiresAt > now;
  const active = kept.filter(isActive).length;
  if (active >= options.mostActive) return false;
  const room = Math.max(0, options.mostKept - active - 1);
  const over = kept.filter((each) => !isActive(each)).slice(room);
  if (over.length > 0) {
    await db
      .deleteFrom('previews')
      .where(
        'id',
        'in',
        over.map(({ id }) => id),
      )
      .execute();
  }
  await db
    .insertInto('previews')
    .values({
      id: preview.id,
      ordinal: nextOrdinal('previews'),
      agent_id: agentId,
      port: preview.port,
      access: preview.access,
      created_by: preview.createdBy,
      key_id: preview.keyId,
      token_hash: options.tokenHash,
      created_at: preview.createdAt,
      expires_at: preview.expiresAt,
      opened_at: preview.openedAt,
      revoked_at: preview.revokedAt,
    })
    .execute();
  return true;
}

export async function find(db: Kysely<Database>, id: PreviewId): Promise<Preview | undefined> {
  const row = await db.selectFrom('previews').selectAll().where('id', '=', id).executeTakeFirst();
  return row && toPreview(row);
}

export async function findByToken(db: Kysely<Database>, tokenHash: string): Promise<Preview | undefined> {
  const row = await db.selectFrom('previews').selectAll().where('token_hash', '=', tokenHash).executeTakeFirst();
  return row && toPreview(row);
}

export async function list(db: Kysely<Database>, agentId: AgentId): Promise<readonly Preview[]> {
  const rows = await db
    .selectFrom('previews')
    .selectAll()
    .where('agent_id', '=', agentId)
    .orderBy('ordinal', 'desc')
    .execute();
  return rows.map(toPreview);
}

export async function markOpened(db: Kysely<Database>, id: PreviewId, at: number): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('previews')
    .set({ opened_at: at })
    .where('id', '=', id)
    .where('opened_at', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

export async function revoke(db: Kysely<Database>, id: PreviewId, at: number): Promise<void> {
  await db
    .updateTable('previews')
    .set({ revoked_at: at })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .execute();
}

export async function revokeOfKey(db: Kysely<Database>, keyId: KeyId, at: number): Promise<void> {
  await db
    .updateTable('previews')
    .set({ revoked_at: at })
    .where('key_id', '=', keyId)
    .where('revoked_at', 'is', null)
    .execute();
}

function toPreview(row: Selectable<PreviewsTable>): Preview {
  return {
    id: row.id,
    agentId: row.agent_id,
    port: row.port,
    access: row.access,
    createdBy: row.created_by,
    keyId: row.key_id,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    openedAt: row.opened_at,
    revokedAt: row.revoked_at,
  };
}
