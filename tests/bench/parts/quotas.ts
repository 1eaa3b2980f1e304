import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { z } from 'zod';
import { userAccount } from '../../../src/controlplane/quotas/account.ts';
import { QuotaBook } from '../../../src/controlplane/quotas/quota-book.ts';
import { StoredLedger } from '../../../src/controlplane/quotas/stored-ledger.ts';
import { noLimits } from '../../../src/controlplane/quotas/terms.ts';
import { openStorage } from '../../../src/controlplane/storage/open-storage.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { newReservationId, newUserId } from '../../../src/kernel/ids.ts';
import { silentLogger } from '../../../src/kernel/logger.ts';
import { context as explain, ms, type Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { startControlPlane } from '../rig/control-plane.ts';
import { quantile } from '../rig/statistics.ts';
import { steadyLoadProgram } from '../rig/steady-load.ts';

const rounds = 4_000;
const agents = 20;
const requestsPerSecond = 1_000;
const loadSchema = z.object({ p50: z.number(), p99: z.number(), failed: z.number(), rate: z.number() });

/** What a quota costs where it is asked, and how many calls a control plane answers that asks it at each. */
export async function quotas(context: BenchContext): Promise<readonly Row[]> {
  return [...(await ledgerRows(context)), ...(await requestRows(context))];
}

/** One way to reserve room for tokens and cost, and to settle it. */
interface Way {
  readonly reserve: () => Promise<void>;
  readonly settle: () => Promise<void>;
}

async function ledgerRows(context: BenchContext): Promise<readonly Row[]> {
  await using undo = new AsyncDisposableStack();
  const ways = { ours: await ourLedger(context, undo), bare: await bareLedger(context, undo) };
  const times = { ours: { reserve: [], settle: [] }, bare: { reserve: [], settle: [] } } as Record<
    keyof typeof ways,
    { reserve: number[]; settle: number[] }
  >;
  for (let round = -500; round < rounds; round++) {
    for (const name of ['ours', 'bare'] as const) {
      const begun = performance.now();
      await ways[name].reserve();
      const reserved = performance.now();
      await ways[name].settle();
      const settled = performance.now();
      if (round < 0) continue;
      times[name].reserve.push(reserved - begun);
      times[name].settle.push(settled - reserved);
    }
  }
  const row = (what: string, step: 'reserve' | 'settle', share: number): Omit<Row, 'target' | 'met'> => {
    const [ours, bare] = [quantile(times.ours[step], share), quantile(times.bare[step], share)];
    return {
      what: `${what}, p${100 * share}`,
      ours: ms(ours),
      floor: `${ms(bare)} (the same statements in bare SQLite)`,
      comparison: `${(ours / bare).toFixed(2)} ×`,
    };
  };
  const reserve = 'quota check and reservation of tokens and cost';
  const p50 = quantile(times.ours.reserve, 0.5);
  return [
    { ...row(reserve, 'reserve', 0.5), target: '≤ 0.3 ms', met: p50 <= 0.3 },
    explain(row(reserve, 'reserve', 0.99)),
    explain(row('its settlement', 'settle', 0.5)),
    explain(row('its settlement', 'settle', 0.99)),
  ];
}

async function ourLedger(context: BenchContext, undo: AsyncDisposableStack): Promise<Way> {
  const storage = await openStorage(await context.directory('ledger'));
  undo.defer(() => storage.close());
  const defaults = { ...noLimits, tokens: 1e12, cost: 1e12 };
  const terms = new QuotaBook({ store: storage.quotas, agents: storage.agents, defaults });
  const ledger = undo.use(
    await StoredLedger.open({ store: storage.ledger, terms, clock: systemClock, logger: silentLogger }),
  );
  const account = userAccount(newUserId());
  const charges = (['tokens', 'cost'] as const).map((dimension) => ({ account, dimension, amount: 10 }));
  let reservation: Awaited<ReturnType<typeof ledger.reserve>> | undefined;
  return {
    reserve: async () => void (reservation = await ledger.reserve(charges, { expiresInMs: 60_000 })),
    settle: async () => await reservation?.settle(charges),
  };
}

/** The same tables and statements, prepared once, with nothing around them. */
async function bareLedger(context: BenchContext, undo: AsyncDisposableStack): Promise<Way> {
  const directory = await context.directory('bare-ledger');
  await (await openStorage(directory)).close();
  const db = new DatabaseSync(join(directory, 'caisson.db'));
  undo.defer(() => db.close());
  db.exec('pragma journal_mode = wal; pragma synchronous = normal; pragma wal_autocheckpoint = 8000');
  const state = db.prepare(`select
    (select used from quota_usage where account = ? and dimension = ?),
    (select resets_at from quota_usage where account = ? and dimension = ?),
    (select sum(amount) from quota_reservations where account = ? and dimension = ? and expires_at > ?)`);
  const insert = db.prepare(`insert into quota_reservations (id, account, dimension, amount, expires_at, lifetime_ms)
    values (?, ?, ?, ?, ?, ?)`);
  const remove = db.prepare('delete from quota_reservations where account = ? and dimension = ? and id = ?');
  const count = db.prepare(`insert into quota_usage (account, dimension, used, resets_at) values (?, ?, 10, ?)
    on conflict do update set used = used + 10`);
  const account = userAccount(newUserId());
  const read = (dimension: string): unknown =>
    state.get(account, dimension, account, dimension, account, dimension, Date.now());
  let id = '';
  return {
    reserve: async () => {
      id = newReservationId();
      db.exec('begin immediate');
      for (const dimension of ['tokens', 'cost']) read(dimension);
      for (const dimension of ['tokens', 'cost']) insert.run(id, account, dimension, 10, Date.now() + 60_000, 60_000);
      db.exec('commit');
    },
    settle: async () => {
      db.exec('begin immediate');
      for (const dimension of ['tokens', 'cost']) {
        remove.run(account, dimension, id);
        read(dimension);
        count.run(account, dimension, Date.now() + 86_400_000);
      }
      db.exec('commit');
    },
  };
}

async function requestRows(context: BenchContext): Promise<readonly Row[]> {
  // No sandboxes: what is asked of them is not what is measured.
  await using controlPlane = await startControlPlane(context, {
    settings: { CAISSON_QUOTAS: 'agents=100,running_sandboxes=0,requests=600000', CAISSON_REQUESTS_PER_KEY: '600000' },
  });
  for (let each = 0; each < agents; each++) await controlPlane.client.agents.create.mutate({ name: `agent-${each}` });
  const headers = { authorization: `Bearer ${controlPlane.apiKey}` };
  const load = async (path: string) => {
    const options = { url: `${controlPlane.url}${path}`, headers, rate: requestsPerSecond, seconds: 10 };
    const run = promisify(execFile)(process.execPath, ['-e', steadyLoadProgram, JSON.stringify(options)]);
    return loadSchema.parse(JSON.parse((await run).stdout));
  };
  const floor = await load('/healthz');
  const list = await load('/trpc/agents.list');
  return [
    {
      what: `${requestsPerSecond} requests/s of agents.list with ${agents} agents, p99 (p50 ${ms(list.p50)})`,
      ours: `${ms(list.p99)}, ${list.rate.toFixed(0)}/s, ${list.failed} failed`,
      floor: `${ms(floor.p99)}, ${floor.rate.toFixed(0)}/s (/healthz of the same process)`,
      comparison: `${(list.p99 / floor.p99).toFixed(1)} ×`,
      target: '≤ 50 ms',
      met: list.p99 <= 50 && list.failed === 0 && list.rate >= requestsPerSecond * 0.95,
    },
  ];
}
