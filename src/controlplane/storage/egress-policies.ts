import type { Kysely, Selectable } from 'kysely';
import { CaissonError } from '../../kernel/errors.ts';
import {
  type EgressPolicyChange,
  type EgressPolicyRecord,
  type EgressRule,
  type EgressScope,
  keepExpiredMs,
  mostRules,
  ruleKey,
  scopeKey,
} from '../egress/policy/policy.ts';
import * as agents from './agents.ts';
import type { Database, EgressPoliciesTable, EgressRulesTable } from './database.ts';
import { fromJson, toJson } from './json-text.ts';
import { nextOrdinal } from './ordinals.ts';

export async function find(
  db: Kysely<Database>,
  scopes: readonly EgressScope[],
): Promise<readonly EgressPolicyRecord[]> {
  const keys = scopes.map(scopeKey);
  const policies = await db.selectFrom('egress_policies').selectAll().where('scope', 'in', keys).execute();
  const rules = await db.selectFrom('egress_rules').selectAll().where('scope', 'in', keys).orderBy('ordinal').execute();
  return scopes.map((scope) => {
    const key = scopeKey(scope);
    const row = policies.find((each) => each.scope === key);
    return toPolicy(
      scope,
      row,
      rules.filter((each) => each.scope === key),
    );
  });
}

/** Needs a transaction. */
export async function change(
  db: Kysely<Database>,
  scope: EgressScope,
  { ifVersion, mode, add, remove, by, at, why }: EgressPolicyChange,
): Promise<EgressPolicyRecord> {
  if (scope.kind === 'agent' && (await agents.find(db, scope.agentId)) === undefined) {
    throw new CaissonError('AGENT_NOT_FOUND', `There is no agent ${scope.agentId}.`);
  }
  const [before = toPolicy(scope, undefined, [])] = await find(db, [scope]);
  if (ifVersion !== null && ifVersion !== before.version) {
    throw new CaissonError('EGRESS_POLICY_CHANGED', `The policy has version ${before.version}, not ${ifVersion}.`, {
      details: { version: before.version },
    });
  }
  const added = new Set(add.map(ruleKey));
  const isGone = (rule: EgressRule): boolean =>
    remove.includes(rule.id) ||
    added.has(ruleKey(rule)) ||
    (rule.expiresAt !== null && rule.expiresAt < at - keepExpiredMs);
  const gone = before.rules.filter(isGone);
  const count = before.rules.length - gone.length + add.length;
  if (count > mostRules) {
    throw new CaissonError('LIMIT_REACHED', `The policy would have ${count} rules; ${mostRules} are allowed.`, {
      hint: 'Remove rules that are no longer needed, or use wildcards and presets.',
      details: { limit: mostRules, used: before.rules.length },
    });
  }
  const key = scopeKey(scope);
  const state = {
    mode: mode === undefined ? before.mode : mode,
    version: before.version + 1,
    changed_by: by,
    changed_at: at,
    why,
  };
  await db
    .insertInto('egress_policies')
    .values({
      scope: key,
      agent_id: scope.kind === 'agent' ? scope.agentId : null,
      user_id: scope.kind === 'ceiling' || scope.kind === 'user' ? scope.userId : null,
      ...state,
    })
    .onConflict((conflict) => conflict.column('scope').doUpdateSet(state))
    .execute();
  if (gone.length > 0) {
    await db
      .deleteFrom('egress_rules')
      .where(
        'id',
        'in',
        gone.map(({ id }) => id),
      )
      .execute();
  }
  for (const rule of add) await insertRule(db, key, rule);
  const [after] = await find(db, [scope]);
  return after ?? before;
}

export async function nextExpiry(db: Kysely<Database>, now: number): Promise<number | null> {
  const row = await db
    .selectFrom('egress_rules')
    .select('expires_at')
    .where('expires_at', '>', now)
    .orderBy('expires_at')
    .limit(1)
    .executeTakeFirst();
  return row?.expires_at ?? null;
}

async function insertRule(db: Kysely<Database>, scope: string, rule: EgressRule): Promise<void> {
  await db
    .insertInto('egress_rules')
    .values({
      id: rule.id,
      ordinal: nextOrdinal('egress_rules'),
      scope,
      effect: rule.effect,
      subject: toJson(rule.subject),
      added_by: rule.addedBy,
      added_at: rule.addedAt,
      why: rule.why,
      expires_at: rule.expiresAt,
    })
    .execute();
}

function toPolicy(
  scope: EgressScope,
  row: Selectable<EgressPoliciesTable> | undefined,
  rules: readonly Selectable<EgressRulesTable>[],
): EgressPolicyRecord {
  return {
    scope,
    mode: row?.mode ?? null,
    rules: rules.map(toRule),
    version: row?.version ?? 0,
    changed: row === undefined ? null : { by: row.changed_by, at: row.changed_at, why: row.why },
  };
}

function toRule(row: Selectable<EgressRulesTable>): EgressRule {
  return {
    id: row.id,
    effect: row.effect,
    subject: fromJson(row.subject),
    addedBy: row.added_by,
    addedAt: row.added_at,
    why: row.why,
    expiresAt: row.expires_at,
  };
}
