import type { Kysely, Selectable, Updateable } from 'kysely';
import type { Page, PageRequest, RunChange } from '../../agents/ports.ts';
import { isTerminal, type Run, type RunEnd } from '../../agents/run.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, ConversationId, RunId } from '../../kernel/ids.ts';
import { compiledQuery } from './compiled-query.ts';
import type { Database, RunsTable } from './database.ts';
import { fromJson, toJson } from './json-text.ts';
import { nextOrdinal } from './ordinals.ts';
import { startPage, toPage } from './pages.ts';

const byId = compiledQuery<{ id: RunId }, Selectable<RunsTable>>((db, value) =>
  db.selectFrom('runs').selectAll().where('id', '=', value('id')),
);
const activeByAgent = compiledQuery<{ agentId: AgentId }, Selectable<RunsTable>>((db, value) =>
  active(db).where('agent_id', '=', value('agentId')),
);
const activeByConversation = compiledQuery<{ conversationId: ConversationId }, Selectable<RunsTable>>((db, value) =>
  active(db).where('conversation_id', '=', value('conversationId')),
);

function active(db: Kysely<Database>) {
  return db.selectFrom('runs').selectAll().where('active', '=', 1).orderBy('ordinal');
}

export async function find(db: Kysely<Database>, id: RunId): Promise<Run | undefined> {
  const [row] = await byId(db, { id });
  return row && toRun(row);
}

export async function list(
  db: Kysely<Database>,
  of: { readonly agentId: AgentId; readonly conversationId: ConversationId | null },
  page: PageRequest,
): Promise<Page<Run>> {
  const start = startPage('runs', page);
  const all = db.selectFrom('runs').selectAll().where('agent_id', '=', of.agentId).where('ordinal', '<', start.before);
  const wanted = of.conversationId === null ? all : all.where('conversation_id', '=', of.conversationId);
  return toPage('runs', start, await wanted.orderBy('ordinal', 'desc').limit(start.rows).execute(), toRun);
}

export async function listActive(
  db: Kysely<Database>,
  of: { readonly agentId?: AgentId | undefined; readonly conversationId?: ConversationId },
): Promise<readonly Run[]> {
  const { agentId, conversationId } = of;
  if (conversationId !== undefined) return (await activeByConversation(db, { conversationId })).map(toRun);
  const rows = agentId === undefined ? await active(db).execute() : await activeByAgent(db, { agentId });
  return rows.map(toRun);
}

export async function insert(db: Kysely<Database>, run: Run): Promise<void> {
  await db
    .insertInto('runs')
    .values({
      id: run.id,
      ordinal: nextOrdinal('runs'),
      agent_id: run.agentId,
      conversation_id: run.conversationId,
      message_id: run.messageId,
      started_by: run.startedBy,
      timeout_ms: run.timeoutMs,
      accepted_at: run.acceptedAt,
      started_at: run.startedAt,
      ended_at: run.endedAt,
      incarnation: run.incarnation,
      cancel_requested: run.cancelRequested ? 1 : 0,
      usage: toJson(run.usage),
      state: run.state,
      active: isTerminal(run.state) ? 0 : 1,
      reason: run.reason,
      message: run.message,
    })
    .execute();
}

export async function move(
  db: Kysely<Database>,
  id: RunId,
  step: { readonly from: Run['state']; readonly change: RunChange },
): Promise<boolean> {
  const result = await db
    .updateTable('runs')
    .set(changedColumns(step.change))
    .where('id', '=', id)
    .where('state', '=', step.from)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

export async function requestCancel(db: Kysely<Database>, id: RunId): Promise<void> {
  const result = await db.updateTable('runs').set({ cancel_requested: 1 }).where('id', '=', id).executeTakeFirst();
  if (result.numUpdatedRows === 0n) throw new CaissonError('RUN_NOT_FOUND', `There is no run ${id}.`);
}

function changedColumns(change: RunChange): Updateable<RunsTable> {
  switch (change.state) {
    case 'starting':
      return { state: change.state, incarnation: change.incarnation };
    case 'running':
      return change.startedAt === undefined
        ? { state: change.state }
        : { state: change.state, started_at: change.startedAt };
    case 'awaiting_permission':
      return { state: change.state };
    default:
      return {
        state: change.state,
        active: 0,
        reason: change.reason,
        message: change.message,
        ended_at: change.endedAt,
        usage: toJson(change.usage),
      };
  }
}

function toRun(row: Selectable<RunsTable>): Run {
  const run = {
    id: row.id,
    agentId: row.agent_id,
    conversationId: row.conversation_id,
    messageId: row.message_id,
    startedBy: row.started_by,
    timeoutMs: row.timeout_ms,
    acceptedAt: row.accepted_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    incarnation: row.incarnation,
    cancelRequested: row.cancel_requested === 1,
    usage: fromJson(row.usage),
  };
  const end = { state: row.state, reason: row.reason, message: row.message };
  if (isRunEnd(end)) return { ...run, ...end };
  if (isTerminal(row.state)) throw new CaissonError('INTERNAL', `Run ${row.id} is stored as over without a reason.`);
  return { ...run, state: row.state, reason: null, message: null };
}

function isRunEnd(end: Pick<Selectable<RunsTable>, 'state' | 'reason' | 'message'>): end is RunEnd {
  return isTerminal(end.state) && end.reason !== null;
}
