import type { Kysely, Selectable } from 'kysely';
import type { AgentId, ReservationId } from '../../kernel/ids.ts';
import type { Account } from '../quotas/account.ts';
import type { MeteredDimension } from '../quotas/dimension.ts';
import type { Charge } from '../quotas/ledger.ts';
import type { AccountState } from '../quotas/ledger-store.ts';
import * as agents from './agents.ts';
import { compiledQuery } from './compiled-query.ts';
import type { Database } from './database.ts';

interface Entry {
  readonly account: Account;
  readonly dimension: MeteredDimension;
}

interface Expiry {
  readonly expiresAt: number;
  readonly lifetimeMs: number;
}

type Usage = Selectable<Database['quota_usage']>;
type Row = Selectable<Database['quota_reservations']>;

interface ReadRow {
  readonly used: number | null;
  readonly resets_at: number | null;
  readonly reserved: number | string | null;
}

/** One statement, so that nothing can be settled between its parts. */
const stateOf = compiledQuery<Entry & { now: number }, ReadRow>((db, value) => {
  const usage = db
    .selectFrom('quota_usage')
    .where('account', '=', value('account'))
    .where('dimension', '=', value('dimension'));
  const reserved = db
    .selectFrom('quota_reservations')
    .select(({ fn }) => fn.sum<number | string | null>('amount').as('sum'))
    .where('account', '=', value('account'))
    .where('dimension', '=', value('dimension'))
    .where('expires_at', '>', value('now'));
  return db.selectNoFrom([
    usage.select('used').as('used'),
    usage.select('resets_at').as('resets_at'),
    reserved.as('reserved'),
  ]);
});
const count = compiledQuery<Omit<Usage, 'agent_id'>, { readonly account: Account }>((db, value) =>
  db
    .updateTable('quota_usage')
    .set({ used: value('used'), resets_at: value('resets_at') })
    .where('account', '=', value('account'))
    .where('dimension', '=', value('dimension'))
    .returning('account'),
);
const insertUsage = compiledQuery<Usage, unknown>((db, value) =>
  db.insertInto('quota_usage').values({
    account: value('account'),
    dimension: value('dimension'),
    agent_id: value('agent_id'),
    used: value('used'),
    resets_at: value('resets_at'),
  }),
);
const insertReserved = compiledQuery<Row, unknown>((db, value) =>
  db.insertInto('quota_reservations').values({
    id: value('id'),
    account: value('account'),
    dimension: value('dimension'),
    amount: value('amount'),
    expires_at: value('expires_at'),
    lifetime_ms: value('lifetime_ms'),
  }),
);
const removeReserved = compiledQuery<Pick<Row, 'id'>, Pick<Row, 'expires_at'>>((db, value) =>
  db.deleteFrom('quota_reservations').where('id', '=', value('id')).returning('expires_at'),
);

/** See `LedgerStore.readAccount`. */
export async function read(db: Kysely<Database>, entry: Entry, now: number): Promise<AccountState> {
  const { account, dimension } = entry;
  const [row] = await stateOf(db, { account, dimension, now });
  // PostgreSQL sums in text
  return { used: row?.used ?? 0, resetsAt: row?.resets_at ?? null, reserved: Number(row?.reserved ?? 0) };
}

/** Needs a transaction. See `LedgerTransaction.writeAccount`. */
export async function write(
  db: Kysely<Database>,
  { account, dimension }: Entry,
  state: { readonly used: number; readonly resetsAt: number | null; readonly agentId: AgentId | null },
): Promise<void> {
  const row = { account, dimension, used: state.used, resets_at: state.resetsAt };
  if ((await count(db, row)).length > 0) return;
  if (state.agentId !== null && (await agents.find(db, state.agentId)) === undefined) return;
  await insertUsage(db, { ...row, agent_id: state.agentId });
}

/** Needs a transaction. */
export async function reserve(
  db: Kysely<Database>,
  id: ReservationId,
  charges: readonly Charge[],
  { expiresAt, lifetimeMs }: Expiry,
): Promise<void> {
  for (const { account, dimension, amount } of charges) {
    await insertReserved(db, { id, account, dimension, amount, expires_at: expiresAt, lifetime_ms: lifetimeMs });
  }
}

export async function removeReservation(db: Kysely<Database>, id: ReservationId, now: number): Promise<boolean> {
  return (await removeReserved(db, { id })).some(({ expires_at: expiresAt }) => expiresAt > now);
}

export async function removeExpired(db: Kysely<Database>, now: number): Promise<void> {
  await db.deleteFrom('quota_reservations').where('expires_at', '<=', now).execute();
}

export async function boundExpiries(db: Kysely<Database>, now: number): Promise<void> {
  await db
    .updateTable('quota_reservations')
    .set((eb) => ({ expires_at: eb(eb.val(now), '+', eb.ref('lifetime_ms')) }))
    .where('expires_at', '>', now)
    .where((eb) => eb('expires_at', '>', eb(eb.val(now), '+', eb.ref('lifetime_ms'))))
    .execute();
}
