import { errorsTable } from './errors.ts';
import { eventsTable, reasonsTable } from './events.ts';
import { procedureTables } from './procedures.ts';
import { shapesTable } from './shapes.ts';

const begin = (name: string): string => `<!-- made by \`npm run docs\`: ${name} -->\n<!-- prettier-ignore-start -->`;
const end = '<!-- prettier-ignore-end -->';

/** The API guide with its tables made anew from the code. The text between them stays as it is. */
export async function apiGuide(text: string): Promise<string> {
  const sections = {
    procedures: await procedureTables(),
    shapes: shapesTable(),
    events: eventsTable(),
    reasons: reasonsTable(),
    errors: errorsTable(),
  };
  let guide = text;
  for (const [name, content] of Object.entries(sections)) {
    const from = guide.indexOf(begin(name));
    const to = guide.indexOf(end, from);
    if (from < 0 || to < 0) throw new Error(`The API guide has no place for its ${name}.`);
    guide = `${guide.slice(0, from)}${begin(name)}\n\n${content}\n\n${guide.slice(to)}`;
  }
  return guide;
}
