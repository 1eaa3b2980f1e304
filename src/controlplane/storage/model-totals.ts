import { type Kysely, sql } from 'kysely';
import type { ModelUsage, UsageGroup, UsageTotal, UsageTotalsFilter } from '../model-gateway/model-usage.ts';
import { compiledQuery } from './compiled-query.ts';
import type { Database, ModelTotalsTable } from './database.ts';

const mostRows = 10_000;

const groupColumns = {
  day: 'day',
  user: 'user_id',
  agent: 'agent_id',
  model: 'model',
} as const satisfies Record<UsageGroup, keyof ModelTotalsTable>;

const sums = [
  'calls',
  'estimated_calls',
  'unpriced_calls',
  'input_tokens',
  'cached_input_tokens',
  'cache_write_tokens',
  'output_tokens',
  'reasoning_tokens',
  'cost_micros',
] as const satisfies (keyof ModelTotalsTable)[];
type Sum = (typeof sums)[number];

const addToOne = compiledQuery<ModelTotalsTable, { readonly day: string }>((db, value) =>
  db
    .updateTable('model_totals')
    .set((eb) => ({
      calls: eb('calls', '+', value('calls')),
      estimated_calls: eb('estimated_calls', '+', value('estimated_calls')),
      unpriced_calls: eb('unpriced_calls', '+', value('unpriced_calls')),
      input_tokens: eb('input_tokens', '+', value('input_tokens')),
      cached_input_tokens: eb('cached_input_tokens', '+', value('cached_input_tokens')),
      cache_write_tokens: eb('cache_write_tokens', '+', value('cache_write_tokens')),
      output_tokens: eb('output_tokens', '+', value('output_tokens')),
      reasoning_tokens: eb('reasoning_tokens', '+', value('reasoning_tokens')),
      cost_micros: eb('cost_micros', '+', value('cost_micros')),
    }))
    .where('day', '=', value('day'))
    .where('user_id', '=', value('user_id'))
    .where('agent_id', '=', value('agent_id'))
    .where('model', '=', value('model'))
    .returning('day'),
);
const insertOne = compiledQuery<ModelTotalsTable, unknown>((db, value) =>
  db.insertInto('model_totals').values({
    day: value('day'),
    user_id: value('user_id'),
    agent_id: value('agent_id'),
    model: value('model'),
    calls: value('calls'),
    estimated_calls: value('estimated_calls'),
    unpriced_calls: value('unpriced_calls'),
    input_tokens: value('input_tokens'),
    cached_input_tokens: value('cached_input_tokens'),
    cache_write_tokens: value('cache_write_tokens'),
    output_tokens: value('output_tokens'),
    reasoning_tokens: value('reasoning_tokens'),
    cost_micros: value('cost_micros'),
  }),
);

/** Needs a transaction. Keeps the sums of the last `mostDays` days that have any. */
export async function add(db: Kysely<Database>, calls: readonly ModelUsage[], mostDays: number): Promise<void> {
  const totals = new Map<string, ModelTotalsTable>();
  for (const call of calls) {
    const row = rowOf(call);
    const key = JSON.stringify([row.day, row.user_id, row.agent_id, row.model]);
    const present = totals.get(key);
    totals.set(key, present === undefined ? row : { ...row, ...summed(present, row) });
  }
  for (const row of totals.values()) {
    if ((await addToOne(db, row)).length > 0) continue;
    await insertOne(db, row);
    await forgetDaysBefore(db, mostDays);
  }
}

export async function list(db: Kysely<Database>, filter: UsageTotalsFilter): Promise<readonly UsageTotal[]> {
  const { from, to, userId, agentId, groupBy } = filter;
  const columns = groupBy.map((group) => groupColumns[group]);
  let query = db
    .selectFrom('model_totals')
    .select(({ fn }) => sums.map((column) => fn.sum<number | string | null>(column).as(column)))
    .where('day', '>=', from)
    .where('day', '<=', to);
  if (userId !== null) query = query.where('user_id', '=', userId);
  if (agentId !== null) query = query.where('agent_id', '=', agentId);
  if (groupBy.includes('day')) query = query.orderBy('day', 'desc');
  const rows = await query
    .$if(columns.length > 0, (grouped) => grouped.select(columns).groupBy(columns))
    .having(({ fn }) => fn.countAll(), '>', 0)
    .orderBy(sql`sum(cost_micros)`, 'desc')
    .limit(mostRows)
    .execute();
  return rows.map((row) => ({
    day: row.day ?? null,
    userId: row.user_id ?? null,
    agentId: row.agent_id ?? null,
    model: row.model ?? null,
    calls: Number(row.calls), // PostgreSQL sums in text
    estimatedCalls: Number(row.estimated_calls),
    unpricedCalls: Number(row.unpriced_calls),
    inputTokens: Number(row.input_tokens),
    cachedInputTokens: Number(row.cached_input_tokens),
    cacheWriteTokens: Number(row.cache_write_tokens),
    outputTokens: Number(row.output_tokens),
    reasoningTokens: Number(row.reasoning_tokens),
    costMicros: Number(row.cost_micros),
  }));
}

async function forgetDaysBefore(db: Kysely<Database>, mostDays: number): Promise<void> {
  const over = await db
    .selectFrom('model_totals')
    .select('day')
    .distinct()
    .orderBy('day', 'desc')
    .offset(mostDays)
    .limit(1)
    .executeTakeFirst();
  if (over !== undefined) await db.deleteFrom('model_totals').where('day', '<=', over.day).execute();
}

function rowOf(call: ModelUsage): ModelTotalsTable {
  return {
    day: new Date(call.at).toISOString().slice(0, 10),
    user_id: call.userId,
    agent_id: call.agentId,
    model: call.model,
    calls: 1,
    estimated_calls: call.isEstimated ? 1 : 0,
    unpriced_calls: call.priceVersion === 'default' ? 1 : 0,
    input_tokens: call.inputTokens,
    cached_input_tokens: call.cachedInputTokens,
    cache_write_tokens: call.cacheWriteTokens,
    output_tokens: call.outputTokens,
    reasoning_tokens: call.reasoningTokens,
    cost_micros: call.costMicros,
  };
}

function summed(a: ModelTotalsTable, b: ModelTotalsTable): Pick<ModelTotalsTable, Sum> {
  return Object.fromEntries(sums.map((column) => [column, a[column] + b[column]])) as Record<Sum, number>;
}
