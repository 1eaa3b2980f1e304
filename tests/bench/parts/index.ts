import type { Row } from '../report/row.ts';
import type { BenchContext } from '../rig/bench-context.ts';
import { archives } from './archives.ts';
import { changes } from './changes.ts';
import { cold } from './cold.ts';
import { egress } from './egress.ts';
import { files } from './files.ts';
import { late } from './late.ts';
import { memory } from './memory.ts';
import { models } from './models.ts';
import { previews } from './previews.ts';
import { processes } from './processes.ts';
import { prompt } from './prompt.ts';
import { quotas } from './quotas.ts';
import { stream } from './stream.ts';
import { terminals } from './terminals.ts';
import { wire } from './wire.ts';

/** In the order in which they are measured and shown. */
export const parts = {
  prompt,
  stream,
  wire,
  files,
  processes,
  terminals,
  changes,
  previews,
  quotas,
  models,
  egress,
  cold,
  late,
  memory,
  archives, // removes hundreds of thousands of files at its end, which ext4 remembers for minutes
} as const satisfies Record<string, (context: BenchContext) => Promise<readonly Row[]>>;

export type PartName = keyof typeof parts;

export function isPart(name: string): name is PartName {
  return Object.hasOwn(parts, name);
}
