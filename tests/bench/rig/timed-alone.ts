import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { timed } from './statistics.ts';

const run = promisify(execFile);

/** As `timed`. Begins when the disk has nothing to do any more: what was written before would be written back meanwhile. */
export async function timedAlone(work: () => Promise<unknown>): Promise<number> {
  await run('sync', []);
  return await timed(work);
}
