import { type Kysely, type Selectable, sql } from 'kysely';
import type { ReservationId } from '../../kernel/ids.ts';
import type { Charge } from '../quotas/ledger.ts';
import type { AccountEntry, AccountState, AccountUse, AccountUsed } from '../quotas/ledger-store.ts';
import { compiledRowsQuery } from './compiled-query.ts';
import type { Database } from './database.ts';

interface Expiry {
  readonly expiresAt: number;
  readonly lifetimeMs: number;
}

type Usage = Selectable<Database['quota_usage']>;
type Row = Selectable<Database['quota_reservations']>;

interface ReadRow {
  /** Its place among the entries. */
  readonly at: number;
  readonly used: number | null;
  readonly resets_at: number | null;
  readonly reserved: number | string | null;
}

/** There are no larger whole numbers in JavaScript. More is not counted. */
const mostUsed = Number.MAX_SAFE_INTEGER;

/** One statement, so that nothing can be settled between its parts. */
const statesOf = compiledRowsQuery<AccountEntry & { at: number; now: number }, ReadRow>((db, rows) => {
  const [first, ...others] = rows.map((value) => {
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
      value('at').as('at'),
      usage.select('used').as('used'),
      usage.select('resets_at').as('resets_at'),
      reserved.as('reserved'),
    ]);
  });
  if (first === undefined) throw new TypeError('There is no account to be read.');
  return others.length === 0 ? first : first.unionAll(others);
});
/** Rows of agents that are deleted are left out: their accounts went with them. */
const addUsage = compiledRowsQuery<Usage & { now: number }, Omit<Usage, 'agent_id'>>((db, rows) => {
  const [first, ...others] = rows.map((value) =>
    db
      .selectNoFrom([
        value('account').as('account'),
        value('dimension').as('dimension'),
        value('agent_id').as('agent_id'),
        value('used').as('used'),
        value('resets_at').as('resets_at'),
      ])
      .where((eb) =>
        eb.or([
          eb(value('agent_id'), 'is', null),
          eb.exists(db.selectFrom('agents').select('id').where('id', '=', value('agent_id'))),
        ]),
      ),
  );
  const [value] = rows;
  if (first === undefined || value === undefined) throw new TypeError('There is no account to be written.');
  return db
    .insertInto('quota_usage')
    .columns(['account', 'dimension', 'agent_id', 'used', 'resets_at'])
    .expression(others.length === 0 ? first : first.unionAll(others))
    .onConflict((oc) =>
      oc.columns(['account', 'dimension']).doUpdateSet((eb) => {
        const isOpen = eb('quota_usage.resets_at', '>', value('now'));
        const goesOn = eb.or([eb('excluded.resets_at', 'is', null), isOpen]);
        const sum = sql`excluded.used + case when ${goesOn} then quota_usage.used else 0 end`;
        return {
          used: sql`case when ${sum} > ${mostUsed} then ${mostUsed} else ${sum} end`,
          resets_at: sql`case when ${isOpen} then quota_usage.resets_at else excluded.resets_at end`,
        };
      }),
    )
    .returning(['account', 'dimension', 'used', 'resets_at']);
});
const insertReserved = compiledRowsQuery<Row, unknown>((db, rows) =>
  db.insertInto('quota_reservations').values(
    rows.map((value) => ({
      id: value('id'),
      account: value('account'),
      dimension: value('dimension'),
      amount: value('amount'),
      expires_at: value('expires_at'),
      lifetime_ms: value('lifetime_ms'),
    })),
  ),
);
const removeReserved = compiledRowsQuery<AccountEntry & Pick<Row, 'id'>, Pick<Row, 'expires_at'>>((db, rows) =>
  db
    .deleteFrom('quota_reservations')
    .where((eb) =>
      eb.or(
        rows.map((value) =>
          eb.and([
            eb('account', '=', value('account')),
            eb('dimension', '=', value('dimension')),
            eb('id', '=', value('id')),
          ]),
        ),
      ),
    )
    .returning('expires_at'),
);

/** See `LedgerTransaction.readAccounts`. */
export async function read(
  db: Kysely<Database>,
  entries: readonly AccountEntry[],
  now: number,
): Promise<readonly AccountState[]> {
  const rows = await statesOf(
    db,
    entries.map(({ account, dimension }, at) => ({ account, dimension, at, now })),
  );
  return rows
    .toSorted((a, b) => a.at - b.at)
    .map((row) => ({ used: row.used ?? 0, resetsAt: row.resets_at, reserved: Number(row.reserved ?? 0) })); // PostgreSQL sums in text
}

/** Needs a transaction. See `LedgerTransaction.addUse`. */
export async function add(
  db: Kysely<Database>,
  uses: readonly AccountUse[],
  now: number,
): Promise<readonly AccountUsed[]> {
  const rows = await addUsage(
    db,
    uses.map(({ account, dimension, agentId, amount, resetsAt }) => {
      return { account, dimension, agent_id: agentId, used: amount, resets_at: resetsAt, now };
    }),
  );
  return rows.map(({ account, dimension, used, resets_at: resetsAt }) => ({ account, dimension, used, resetsAt }));
}

/** Needs a transaction. */
export async function reserve(
  db: Kysely<Database>,
  id: ReservationId,
  charges: readonly Charge[],
  { expiresAt, lifetimeMs }: Expiry,
): Promise<void> {
  await insertReserved(
    db,
    charges.map(({ account, dimension, amount }) => {
      return { id, account, dimension, amount, expires_at: expiresAt, lifetime_ms: lifetimeMs };
    }),
  );
}

/** See `LedgerTransaction.removeReservation`. */
export async function removeReservation(
  db: Kysely<Database>,
  id: ReservationId,
  { entries, now }: { readonly entries: readonly AccountEntry[]; readonly now: number },
): Promise<boolean> {
  const removed = await removeReserved(
    db,
    entries.map(({ account, dimension }) => ({ id, account, dimension })),
  );
  return removed.some(({ expires_at: expiresAt }) => expiresAt > now);
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
