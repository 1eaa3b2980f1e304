import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import type { GuestAnswer } from './guest-answer.ts';
import type { ModelRoutes } from './model-routes.ts';

/** No service has so many models that their list is longer. */
const mostBytes = 4 * 1024 * 1024;

/** As OpenAI and Anthropic list models. Whatever else they say of each is kept. */
const listSchema = z.looseObject({ data: z.array(z.looseObject({ id: z.string().max(200) })) });
type ModelList = z.output<typeof listSchema>;

/** Reads a service's list of models. Rejects where it is none, longer than 4 MiB, or broken off. */
async function readModelList(response: IncomingMessage): Promise<ModelList> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new RangeError('The list of models is too long.');
    chunks.push(chunk);
  }
  return listSchema.parse(JSON.parse(Buffer.concat(chunks).toString()));
}

/**
 * Gives the guest the service's list, as far as this user may use it. Rejects as `readModelList`: a list that cannot be
 * narrowed is not shown.
 */
export async function passModelList(
  response: IncomingMessage,
  { guest, routes, userName }: { readonly guest: GuestAnswer; readonly routes: ModelRoutes; readonly userName: string },
): Promise<void> {
  const list = await readModelList(response);
  if (!guest.isOpen) return;
  const names = routes.namesFor(
    userName,
    list.data.map(({ id }) => id),
  );
  guest.begin(200, { 'content-type': 'application/json' });
  guest.say(Buffer.from(JSON.stringify(listOf(names, list))));
  guest.end('answered');
}

/** The list with `names` in it and nothing else, in their order: each as the service tells of it, or of what it stands for. */
function listOf(names: ReadonlyMap<string, string>, list: ModelList): ModelList {
  const told = new Map(list.data.map((entry) => [entry.id, entry]));
  const data = [...names].map(([id, model]) => ({ object: 'model', ...told.get(model), id }));
  const ends = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
  return { ...list, data, ...('first_id' in list ? ends : {}) };
}
