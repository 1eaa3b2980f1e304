import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { PartName } from './parts/index.ts';
import type { Row } from './report/row.ts';

/** The longest part takes some two minutes. */
const timeoutMs = 15 * 60_000;

/** What the process of a part tells. */
export type PartMessage = { readonly log: string } | { readonly rows: readonly Row[] };

/**
 * Measures one part in a process of its own, so that none pays for what another has left: a process that has had gigabytes in
 * its hands spawns slowly, and collects its garbage for longer.
 */
export async function runPart(name: PartName, log: (line: string) => void): Promise<readonly Row[]> {
  let rows: readonly Row[] | undefined;
  const child = fork(join(import.meta.dirname, 'part-main.ts'), [name], { timeout: timeoutMs });
  child.on('message', (message: PartMessage) => {
    if ('log' in message) log(message.log);
    else rows = message.rows;
  });
  await once(child, 'close');
  if (rows === undefined) throw new Error(`the part ${name} ended without its rows`);
  return rows;
}
