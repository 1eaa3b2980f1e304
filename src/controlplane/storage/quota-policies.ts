import type { Kysely } from 'kysely';
import type { AgentId } from '../../kernel/ids.ts';
import type { Account } from '../quotas/account.ts';
import type { Plan, Policy } from '../quotas/policy.ts';
import type { Database } from './database.ts';
import { fromJson, toJson } from './json-text.ts';

/** As many as are ever listed. */
const mostPlans = 1_000;

export async function find(db: Kysely<Database>, account: Account): Promise<Policy | undefined> {
  const row = await db.selectFrom('quota_policies').selectAll().where('account', '=', account).executeTakeFirst();
  return row && { plan: row.plan, timeZone: row.time_zone, limits: fromJson(row.limits), version: row.version };
}

/** Needs a transaction. */
export async function save(
  db: Kysely<Database>,
  account: Account,
  { plan, timeZone, limits, version }: Policy,
  agentId: AgentId | null,
): Promise<'saved' | 'changed' | 'no_plan'> {
  if (plan !== null && (await findPlan(db, plan)) === undefined) return 'no_plan';
  const row = { plan, time_zone: timeZone, limits: toJson(limits), version: version + 1 };
  if (version === 0) {
    const inserted = await db
      .insertInto('quota_policies')
      .values({ account, agent_id: agentId, ...row })
      .onConflict((conflict) => conflict.column('account').doNothing())
      .returning('account')
      .executeTakeFirst();
    return inserted === undefined ? 'changed' : 'saved';
  }
  const { numUpdatedRows } = await db
    .updateTable('quota_policies')
    .set(row)
    .where('account', '=', account)
    .where('version', '=', version)
    .executeTakeFirst();
  return numUpdatedRows === 1n ? 'saved' : 'changed';
}

export async function findPlan(db: Kysely<Database>, name: string): Promise<Plan | undefined> {
  const row = await db.selectFrom('quota_plans').selectAll().where('name', '=', name).executeTakeFirst();
  return row && { name, limits: fromJson(row.limits), version: row.version };
}

export async function listPlans(db: Kysely<Database>): Promise<readonly Plan[]> {
  const rows = await db.selectFrom('quota_plans').selectAll().orderBy('name').limit(mostPlans).execute();
  return rows.map(({ name, limits, version }) => ({ name, limits: fromJson(limits), version }));
}

export async function savePlan(db: Kysely<Database>, { name, limits, version }: Plan): Promise<boolean> {
  const row = { limits: toJson(limits), version: version + 1 };
  if (version === 0) {
    const inserted = await db
      .insertInto('quota_plans')
      .values({ name, ...row })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .returning('name')
      .executeTakeFirst();
    return inserted !== undefined;
  }
  const { numUpdatedRows } = await db
    .updateTable('quota_plans')
    .set(row)
    .where('name', '=', name)
    .where('version', '=', version)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Needs a transaction. */
export async function removePlan(
  db: Kysely<Database>,
  name: string,
  version: number,
): Promise<'removed' | 'changed' | 'in_use'> {
  const user = await db
    .selectFrom('quota_policies')
    .select('account')
    .where('plan', '=', name)
    .limit(1)
    .executeTakeFirst();
  if (user !== undefined) return 'in_use';
  const { numDeletedRows } = await db
    .deleteFrom('quota_plans')
    .where('name', '=', name)
    .where('version', '=', version)
    .executeTakeFirst();
  return numDeletedRows === 1n ? 'removed' : 'changed';
}
