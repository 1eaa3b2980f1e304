import type { QuotaStatement } from '../../client/index.ts';
import { printable } from './printable.ts';
import { quotaColumns } from './quota-columns.ts';
import { stdout, writeJson } from './sink.ts';
import { record, table } from './table.ts';

/** What somebody may use and has used. */
export async function printStatement(statement: QuotaStatement, json: boolean): Promise<void> {
  if (json) return await writeJson(statement);
  const { holder, plan, timeZone, quotas } = statement;
  const entries: (readonly [string, string])[] = [
    [holder.kind, printable(`${holder.name} (${holder.id})`)],
    ...(holder.kind === 'user' ? [['plan', plan ?? 'default'] as const] : []),
    ...(holder.kind === 'conversation' ? [] : [['days of', timeZone] as const]),
  ];
  await stdout.write(
    `${record(entries, stdout.style, stdout.columns)}\n${table(quotas, quotaColumns(Date.now()), stdout.style, stdout.columns)}`,
  );
}
