import { type Kysely, type Selectable, sql } from 'kysely';
import type { Page, PageRequest } from '../../agents/ports.ts';
import type { ModelUsage, UsageCallsFilter } from '../model-gateway/model-usage.ts';
import { compiledQuery } from './compiled-query.ts';
import type { Database, ModelCallsTable } from './database.ts';
import { startPage, toPage } from './pages.ts';

const insertNewest = compiledQuery<Omit<ModelCallsTable, 'ordinal'>, Pick<ModelCallsTable, 'ordinal'>>((db, value) =>
  db
    .insertInto('model_calls')
    .values({
      ordinal: sql`(select coalesce(max(ordinal), 0) + 1 from model_calls)`,
      at: value('at'),
      user_id: value('user_id'),
      agent_id: value('agent_id'),
      conversation_id: value('conversation_id'),
      run_id: value('run_id'),
      upstream: value('upstream'),
      api: value('api'),
      model: value('model'),
      outcome: value('outcome'),
      input_tokens: value('input_tokens'),
      cached_input_tokens: value('cached_input_tokens'),
      cache_write_tokens: value('cache_write_tokens'),
      output_tokens: value('output_tokens'),
      reasoning_tokens: value('reasoning_tokens'),
      cost_micros: value('cost_micros'),
      estimated: value('estimated'),
      price_version: value('price_version'),
      ms: value('ms'),
    })
    .returning('ordinal'),
);
const removeBefore = compiledQuery<{ ordinal: number }, unknown>((db, value) =>
  db.deleteFrom('model_calls').where('ordinal', '<', value('ordinal')),
);

/** Needs a transaction. Keeps the newest `mostKept`. */
export async function insert(db: Kysely<Database>, calls: readonly ModelUsage[], mostKept: number): Promise<void> {
  let newest = 0;
  for (const call of calls) newest = (await insertNewest(db, toRow(call)))[0]?.ordinal ?? newest;
  if (newest > mostKept) await removeBefore(db, { ordinal: newest - mostKept + 1 });
}

export async function list(
  db: Kysely<Database>,
  { agentId, conversationId, runId }: UsageCallsFilter,
  page: PageRequest,
): Promise<Page<ModelUsage>> {
  const start = startPage('model_calls', page);
  let wanted = db
    .selectFrom('model_calls')
    .selectAll()
    .where('agent_id', '=', agentId)
    .where('ordinal', '<', start.before);
  if (conversationId !== null) wanted = wanted.where('conversation_id', '=', conversationId);
  if (runId !== null) wanted = wanted.where('run_id', '=', runId);
  const rows = await wanted.orderBy('ordinal', 'desc').limit(start.rows).execute();
  return toPage('model_calls', start, rows, toUsage);
}

function toRow(call: ModelUsage): Omit<ModelCallsTable, 'ordinal'> {
  return {
    at: call.at,
    user_id: call.userId,
    agent_id: call.agentId,
    conversation_id: call.conversationId,
    run_id: call.runId,
    upstream: call.upstream,
    api: call.api,
    model: call.model,
    outcome: call.outcome,
    input_tokens: call.inputTokens,
    cached_input_tokens: call.cachedInputTokens,
    cache_write_tokens: call.cacheWriteTokens,
    output_tokens: call.outputTokens,
    reasoning_tokens: call.reasoningTokens,
    cost_micros: call.costMicros,
    estimated: call.isEstimated ? 1 : 0,
    price_version: call.priceVersion,
    ms: Math.round(call.ms),
  };
}

function toUsage(row: Selectable<ModelCallsTable>): ModelUsage {
  return {
    at: row.at,
    userId: row.user_id,
    agentId: row.agent_id,
    conversationId: row.conversation_id,
    runId: row.run_id,
    upstream: row.upstream,
    api: row.api,
    model: row.model,
    outcome: row.outcome,
    inputTokens: row.input_tokens,
    cachedInputTokens: row.cached_input_tokens,
    cacheWriteTokens: row.cache_write_tokens,
    outputTokens: row.output_tokens,
    reasoningTokens: row.reasoning_tokens,
    costMicros: row.cost_micros,
    isEstimated: row.estimated === 1,
    priceVersion: row.price_version,
    ms: row.ms,
  };
}
