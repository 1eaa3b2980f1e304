import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AnyTRPCRouter } from '@trpc/server';
import { z } from 'zod';
import { appRouter } from '../../src/controlplane/api/app-router.ts';
import { logBatchSchema } from '../../src/controlplane/api/schemas/process.ts';
import { searchItemSchema, watchItemSchema } from '../../src/wire/contract/files.ts';
import { repositoryRoot } from '../harness-install.ts';
import { code, table } from './markdown.ts';
import { schemaText } from './schema-text.ts';
import { jsonSchema } from './shapes.ts';

const schema = z.custom<z.ZodType>((value) => value instanceof z.ZodType);
const definitionSchema = z.object({
  type: z.enum(['query', 'mutation', 'subscription']),
  inputs: z.array(schema).max(1),
  output: schema.optional(),
});
const proceduresSchema = z.record(
  z.string(),
  z
    .custom<{ readonly _def: unknown }>((value) => typeof value === 'function')
    .transform(({ _def }) => definitionSchema.parse(_def)),
);

const router: AnyTRPCRouter = appRouter;
const folder = join(repositoryRoot, 'src/controlplane/api/routers');

/** What the subscriptions send, which have no output schema: their items are not validated a second time. */
const subscriptionItems: ReadonlyMap<string, string> = new Map([
  ['events.subscribe', 'each `Event`, as it comes'],
  ['processes.logs', `each ${code(schemaText(jsonSchema(logBatchSchema, 'output')))}`],
  ['files.search', `each ${code(schemaText(jsonSchema(searchItemSchema, 'output')))}`],
  ['files.watch', `each ${code(schemaText(jsonSchema(watchItemSchema, 'output')))}`],
]);

/** One table a router: every procedure with what it takes, what it answers, and what its comment in the source says. */
export async function procedureTables(): Promise<string> {
  const comments = await procedureComments();
  const rows = new Map<string, string[][]>();
  for (const [path, { type, inputs, output }] of Object.entries(
    proceduresSchema.parse({ ...router._def.procedures }),
  )) {
    const at = path.lastIndexOf('.');
    const [routerName, name] = [path.slice(0, at), path.slice(at + 1)];
    const input = inputs[0] === undefined ? '' : schemaText(jsonSchema(inputs[0], 'input'));
    const answer = output === undefined ? subscriptionItems.get(path) : code(schemaText(jsonSchema(output, 'output')));
    if (answer === undefined) throw new Error(`What ${path} sends is missing in subscriptionItems.`);
    const cells = [`${code(name)}<br>${type}`, code(input), answer, comments.get(path) ?? ''];
    rows.set(routerName, [...(rows.get(routerName) ?? []), cells]);
  }
  return [...rows]
    .map(([name, cells]) => `### ${name}\n\n${table(['procedure', 'takes', 'answers', 'what it does'], cells)}`)
    .join('\n\n');
}

/** The comment above each procedure of the routers' source, as `agents.create` → its text. */
export async function procedureComments(): Promise<ReadonlyMap<string, string>> {
  const comments = new Map<string, string>();
  for (const file of await readdir(folder)) {
    const source = await readFile(join(folder, file), 'utf8');
    for (const [, comment = '', name = ''] of source.matchAll(
      /^ {2}\/\*\*((?:(?!\*\/).)*)\*\/\n {2}(\w+): \w*[pP]rocedure\b/gms,
    )) {
      comments.set(`${file.replace(/\.ts$/, '')}.${name}`, comment.replaceAll(/\s*\n\s*\*\s?/g, ' ').trim());
    }
  }
  return comments;
}
