import type { Insertable, Kysely, Selectable } from 'kysely';
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

const insertOne = compiledQuery<Omit<Insertable<RunsTable>, 'ordinal'>, unknown>((db, value) =>
  db.insertInto('runs').values({
    id: value('id'),
    ordinal: nextOrdinal('runs'),
    agent_id: value('agent_id'),
    conversation_id: value('conversation_id'),
    message_id: value('message_id'),
    started_by: value('started_by'),
    timeout_ms: value('timeout_ms'),
    accepted_at: value('accepted_at'),
    started_at: value('started_at'),
    ended_at: value('ended_at'),
    incarnation: value('incarnation'),
    cancel_requested: value('cancel_requested'),
    usage: value('usage'),
    state: value('state'),
    active: value('active'),
    reason: value('reason'),
    message: value('message'),
    when_busy: value('when_busy'),
  }),
);

/** A run that is still in the state `from`, and what becomes of it. */
type Step<Column extends keyof RunsTable> = { readonly id: RunId; readonly from: Run['state'] } & Pick<
  Selectable<RunsTable>,
  'state' | Column
>;
type Moved = Pick<Selectable<RunsTable>, 'id'>;

const moveTo = compiledQuery<Step<never>, Moved>((db, value) =>
  db
    .updateTable('runs')
    .set({ state: value('state') })
    .where('id', '=', value('id'))
    .where('state', '=', value('from'))
    .returning('id'),
);
const begin = compiledQuery<Step<'incarnation'>, Moved>((db, value) =>
  db
    .updateTable('runs')
    .set({ state: value('state'), incarnation: value('incarnation') })
    .where('id', '=', value('id'))
    .where('state', '=', value('from'))
    .returning('id'),
);
const start = compiledQuery<Step<'started_at'>, Moved>((db, value) =>
  db
    .updateTable('runs')
    .set({ state: value('state'), started_at: value('started_at') })
    .where('id', '=', value('id'))
    .where('state', '=', value('from'))
    .returning('id'),
);
const end = compiledQuery<Step<'reason' | 'message' | 'ended_at' | 'usage'>, Moved>((db, value) =>
  db
    .updateTable('runs')
    .set({
      state: value('state'),
      active: 0,
      reason: value('reason'),
      message: value('message'),
      ended_at: value('ended_at'),
      usage: value('usage'),
    })
    .where('id', '=', value('id'))
    .where('state', '=', value('from'))
    .returning('id'),
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
  await insertOne(db, {
    id: run.id,
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
    when_busy: run.whenBusy,
  });
}

export async function move(
  db: Kysely<Database>,
  id: RunId,
  step: { readonly from: Run['state']; readonly change: RunChange },
): Promise<boolean> {
  return (await takeStep(db, { id, from: step.from }, step.change)).length > 0;
}

async function takeStep(
  db: Kysely<Database>,
  of: { readonly id: RunId; readonly from: Run['state'] },
  change: RunChange,
): Promise<readonly Moved[]> {
  const { state } = change;
  switch (state) {
    case 'starting':
      return await begin(db, { ...of, state, incarnation: change.incarnation });
    case 'running':
      if (change.startedAt === undefined) return await moveTo(db, { ...of, state });
      return await start(db, { ...of, state, started_at: change.startedAt });
    case 'awaiting_permission':
      return await moveTo(db, { ...of, state });
    default: {
      const { reason, message, endedAt, usage } = change;
      return await end(db, { ...of, state, reason, message, ended_at: endedAt, usage: toJson(usage) });
    }
  }
}

export async function requestCancel(db: Kysely<Database>, id: RunId): Promise<void> {
  const result = await db.updateTable('runs').set({ cancel_requested: 1 }).where('id', '=', id).executeTakeFirst();
  if (result.numUpdatedRows === 0n) throw new CaissonError('RUN_NOT_FOUND', `There is no run ${id}.`);
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
    whenBusy: row.when_busy,
  };
  const end = { state: row.state, reason: row.reason, message: row.message };
  if (isRunEnd(end)) return { ...run, ...end };
  if (isTerminal(row.state)) throw new CaissonError('INTERNAL', `Run ${row.id} is stored as over without a reason.`);
  return { ...run, state: row.state, reason: null, message: null };
}

function isRunEnd(end: Pick<Selectable<RunsTable>, 'state' | 'reason' | 'message'>): end is RunEnd {
  return isTerminal(end.state) && end.reason !== null;
}
