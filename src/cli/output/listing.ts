import { stderr, stdout, writeJson } from './sink.ts';
import { table, type Column } from './table.ts';

export interface Listing<Row> {
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  readonly json: boolean;
  /** Said on stderr when there is nothing. */
  readonly empty: string;
  /** Whether there are more rows than were read. */
  readonly isCut?: boolean;
}

/** A table for people, or one JSON array. */
export async function printListing<Row>(listing: Listing<Row>): Promise<void> {
  const { rows, columns, json, empty, isCut = false } = listing;
  if (json) await writeJson(rows);
  else if (rows.length === 0) await stderr.write(`${empty}\n`);
  else await stdout.write(table(rows, columns, stdout.style, stdout.columns));
  if (isCut)
    await stderr.write(
      `${stderr.style('dim', `There are more than these ${rows.length}; raise --limit to see them.`)}\n`,
    );
}
