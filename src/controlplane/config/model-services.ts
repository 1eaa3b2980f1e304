import { z } from 'zod';
import { httpUrl, secret } from './values.ts';

/** Kinds of values that say which models there are, and for whom. Each says in its error what is allowed. */

const name = /^[a-z0-9][a-z0-9-]{0,31}$/;
const modelName = /^[\x21-\x2b\x2d-\x3a\x3c\x3e-\x7e]{1,200}$/; // printable, without what separates them: , ; =
const userName = /^[^=;]{1,200}$/;
const mostEntries = 64;

const pattern = z.string().regex(modelName);
const upstreamsSchema = z
  .record(
    z.string().regex(name),
    z.strictObject({
      baseUrl: httpUrl(),
      apiKey: secret().optional(),
      keyHeader: z.enum(['bearer', 'x-api-key']).default('bearer'),
      models: z.array(pattern).min(1).max(mostEntries),
    }),
  )
  .refine((upstreams) => Object.keys(upstreams).length <= mostEntries && !Object.hasOwn(upstreams, 'main'));

/** Model services by name, as JSON. `main` is the name of the one that has settings of its own. */
export function modelUpstreams() {
  return z.string().transform((text, context) => {
    const parsed = upstreamsSchema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    context.addIssue(
      'a JSON object of services by name (lower-case letters, digits and hyphens, not `main`), each with `baseUrl`, `models` and perhaps `apiKey` and `keyHeader`',
    );
    return z.NEVER;
  });
}

/** `alias=model`, separated by commas. */
export function modelAliases() {
  return z.string().transform((text, context): Readonly<Record<string, string>> => {
    const pairs = entries(text, ',');
    const isRight = pairs.every(([alias, model]) => modelName.test(alias) && modelName.test(model));
    if (isRight && pairs.length <= mostEntries) return Object.fromEntries(pairs);
    context.addIssue('pairs such as `fast=gpt-5.6-luna`, separated by commas');
    return z.NEVER;
  });
}

/** `user=model,model`, separated by semicolons. */
export function modelsOfUsers() {
  return z.string().transform((text, context): Readonly<Record<string, readonly string[]>> => {
    const users = entries(text, ';').map(
      ([user, models]) => [user, models.split(',').map((each) => each.trim())] as const,
    );
    const isRight = users.every(
      ([user, models]) => userName.test(user) && models.every((each) => modelName.test(each)),
    );
    if (isRight && users.length <= 1_000) return Object.fromEntries(users);
    context.addIssue('lists such as `*=gpt-*,fast`, one for each user, separated by semicolons');
    return z.NEVER;
  });
}

function entries(text: string, separator: string): (readonly [string, string])[] {
  if (text.trim() === '') return [];
  return text.split(separator).map((entry) => {
    const [left = '', ...right] = entry.split('=');
    return [left.trim(), right.join('=').trim()];
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // no schema accepts it
  }
}
