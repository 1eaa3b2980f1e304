import { oneLine } from '../output/printable.ts';
import { stderr } from '../output/sink.ts';

/** Links that are named; of more there is only the number. */
const maxNamed = 100;

/** Links that could lead out of the folder that they are in. */
export interface LeftOut {
  /** At most 100 of them. */
  readonly leftOut: readonly string[];
  readonly leftOutTotal: number;
}

/** Counts them. */
export class LeftOutLinks implements LeftOut {
  readonly leftOut: string[] = [];
  leftOutTotal = 0;

  add(name: string): void {
    if (this.leftOutTotal++ < maxNamed) this.leftOut.push(name);
  }
}

export async function tellLeftOut({ leftOut, leftOutTotal }: LeftOut): Promise<void> {
  for (const name of leftOut) await stderr.write(`Left out, since it could lead out of the folder: ${oneLine(name)}\n`);
  const more = leftOutTotal - leftOut.length;
  if (more > 0) await stderr.write(`… and ${more} more\n`);
}
