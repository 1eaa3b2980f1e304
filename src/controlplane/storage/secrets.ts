import type { Kysely, Selectable } from 'kysely';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, SecretId } from '../../kernel/ids.ts';
import type { Sealed } from '../egress/secrets/keyring.ts';
import {
  mostSecrets,
  type SecretScope,
  secretScopeKey,
  type StoredAuthority,
  type StoredSecret,
} from '../egress/secrets/secret.ts';
import * as agents from './agents.ts';
import type { AgentAuthoritiesTable, Database, SecretsTable } from './database.ts';
import { fromJson, toJson } from './json-text.ts';
import { nextOrdinal } from './ordinals.ts';

export async function list(db: Kysely<Database>, scope: SecretScope): Promise<readonly StoredSecret[]> {
  const rows = await db
    .selectFrom('secrets')
    .selectAll()
    .where('scope', '=', secretScopeKey(scope))
    .orderBy('ordinal')
    .execute();
  return rows.flatMap(toSecret);
}

/** Needs a transaction. */
export async function put(db: Kysely<Database>, secret: StoredSecret): Promise<void> {
  const { scope, host, port } = secret;
  if (scope.kind === 'agent') await requireAgent(db, scope.agentId);
  const key = secretScopeKey(scope);
  await db.deleteFrom('secrets').where('scope', '=', key).where('host', '=', host).where('port', '=', port).execute();
  const { count } = await db
    .selectFrom('secrets')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('scope', '=', key)
    .executeTakeFirstOrThrow();
  if (count >= mostSecrets) {
    throw new CaissonError('LIMIT_REACHED', `There are ${count} secrets already.`, {
      hint: 'Remove those that are no longer needed.',
      details: { limit: mostSecrets, used: count },
    });
  }
  await db
    .insertInto('secrets')
    .values({
      id: secret.id,
      ordinal: nextOrdinal('secrets'),
      scope: key,
      user_id: scope.kind === 'user' ? scope.userId : null,
      agent_id: scope.kind === 'agent' ? scope.agentId : null,
      host,
      port,
      form: toJson(secret.form),
      key_version: secret.sealed.keyVersion,
      sealed: secret.sealed.text,
      created_by: secret.createdBy,
      created_at: secret.createdAt,
      last_used_at: secret.lastUsedAt,
    })
    .execute();
}

export async function remove(db: Kysely<Database>, scope: SecretScope, id: SecretId): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom('secrets')
    .where('id', '=', id)
    .where('scope', '=', secretScopeKey(scope))
    .executeTakeFirst();
  return numDeletedRows === 1n;
}

export async function touch(db: Kysely<Database>, id: SecretId, at: number): Promise<void> {
  await db.updateTable('secrets').set({ last_used_at: at }).where('id', '=', id).execute();
}

export async function findAuthority(db: Kysely<Database>, agentId: AgentId): Promise<StoredAuthority | undefined> {
  const row = await db.selectFrom('agent_authorities').selectAll().where('agent_id', '=', agentId).executeTakeFirst();
  return row && toAuthority(row);
}

/** Needs a transaction. */
export async function putAuthority(
  db: Kysely<Database>,
  { agentId, certificate, sealed }: StoredAuthority,
): Promise<void> {
  await requireAgent(db, agentId);
  const state = { certificate, key_version: sealed.keyVersion, sealed: sealed.text };
  await db
    .insertInto('agent_authorities')
    .values({ agent_id: agentId, ...state })
    .onConflict((conflict) => conflict.column('agent_id').doUpdateSet(state))
    .execute();
}

export async function listSealed(
  db: Kysely<Database>,
): Promise<{ readonly secrets: readonly StoredSecret[]; readonly authorities: readonly StoredAuthority[] }> {
  const secrets = await db.selectFrom('secrets').selectAll().orderBy('ordinal').execute();
  const authorities = await db.selectFrom('agent_authorities').selectAll().execute();
  return { secrets: secrets.flatMap(toSecret), authorities: authorities.map(toAuthority) };
}

export async function reseal(db: Kysely<Database>, id: SecretId, before: Sealed, after: Sealed): Promise<void> {
  await db
    .updateTable('secrets')
    .set({ key_version: after.keyVersion, sealed: after.text })
    .where('id', '=', id)
    .where('sealed', '=', before.text)
    .execute();
}

export async function resealAuthority(
  db: Kysely<Database>,
  agentId: AgentId,
  before: Sealed,
  after: Sealed,
): Promise<void> {
  await db
    .updateTable('agent_authorities')
    .set({ key_version: after.keyVersion, sealed: after.text })
    .where('agent_id', '=', agentId)
    .where('sealed', '=', before.text)
    .execute();
}

async function requireAgent(db: Kysely<Database>, agentId: AgentId): Promise<void> {
  if ((await agents.find(db, agentId)) !== undefined) return;
  throw new CaissonError('AGENT_NOT_FOUND', `There is no agent ${agentId}.`);
}

/** One that belongs to nobody, which the schema does not keep out, is none. */
function toSecret(row: Selectable<SecretsTable>): StoredSecret[] {
  const scope: SecretScope | undefined =
    row.agent_id !== null
      ? { kind: 'agent', agentId: row.agent_id }
      : row.user_id !== null
        ? { kind: 'user', userId: row.user_id }
        : undefined;
  if (scope === undefined) return [];
  return [
    {
      id: row.id,
      scope,
      host: row.host,
      port: row.port,
      form: fromJson(row.form),
      createdBy: row.created_by,
      createdAt: row.created_at,
      lastUsedAt: row.last_used_at,
      sealed: { keyVersion: row.key_version, text: row.sealed },
    },
  ];
}

function toAuthority(row: Selectable<AgentAuthoritiesTable>): StoredAuthority {
  return {
    agentId: row.agent_id,
    certificate: row.certificate,
    sealed: { keyVersion: row.key_version, text: row.sealed },
  };
}
