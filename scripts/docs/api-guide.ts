import { errorsTable } from './errors.ts';
import { eventsTable, reasonsTable } from './events.ts';
import { withSections } from './made-sections.ts';
import { procedureTables } from './procedures.ts';
import { shapesTable } from './shapes.ts';

/** The API guide with its tables made anew from the code. */
export async function apiGuide(text: string): Promise<string> {
  return withSections(text, {
    procedures: await procedureTables(),
    shapes: shapesTable(),
    events: eventsTable(),
    reasons: reasonsTable(),
    errors: errorsTable(),
  });
}
