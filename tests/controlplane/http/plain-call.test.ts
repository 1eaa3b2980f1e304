import { initTRPC, TRPCError } from '@trpc/server';
import { resolveResponse } from '@trpc/server/http';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type ErrorCode, errorTable, isErrorCode } from '../../../src/kernel/error-table.ts';
import { CaissonError } from '../../../src/kernel/errors.ts';
import { toTrpcError } from '../../../src/controlplane/api/error-mapping.ts';
import type { RequestContext } from '../../../src/controlplane/api/request-context.ts';
import { answerPlainCall, plainCallOf } from '../../../src/controlplane/http/plain-call.ts';

const errorCodes = Object.keys(errorTable).filter(isErrorCode);

const t = initTRPC.context<RequestContext>().create({
  isDev: false,
  errorFormatter: ({ shape, ctx, path, type, error }) => ({
    ...shape,
    data: { ...shape.data, requestId: ctx?.requestId, path, type, cause: String(error.cause) },
  }),
});

const failures: Readonly<Record<string, () => unknown>> = {
  string: () => 'a string',
  nothing: () => undefined,
  error: () => new Error('a defect'),
  abort: () => new DOMException('gone', 'AbortError'),
  trpc: () => new TRPCError({ code: 'CONFLICT', message: 'it is there' }),
  foreign: () => Object.assign(new Error('of another copy'), { name: 'TRPCError', code: 'FORBIDDEN' }),
};

const thing = {
  echo: t.procedure.input(z.unknown()).output(z.unknown()),
  strict: t.procedure.input(z.strictObject({ name: z.string() })).output(z.object({ name: z.string() })),
  stripped: t.procedure.output(z.object({ shown: z.number() })),
  wrong: t.procedure.output(z.object({ shown: z.number() })),
  fails: t.procedure.input(z.string()),
  refuses: t.procedure.input(z.custom<ErrorCode>(isErrorCode)),
  unread: t.procedure,
};
const stripped = () => ({ shown: 1, hidden: 2 });
const wrong = () => ({ shown: 'a secret' }) as unknown as { shown: number };
const fail = ({ input }: { input: string }): never => {
  throw failures[input]?.();
};
const refuse = ({ input: code }: { input: ErrorCode }): never => {
  throw toTrpcError(new CaissonError(code, 'No.', { details: { code } }));
};
const queries = t.router({
  echo: thing.echo.query(({ input }) => input),
  strict: thing.strict.query(({ input }) => input),
  stripped: thing.stripped.query(stripped),
  wrong: thing.wrong.query(wrong),
  fails: thing.fails.query(fail),
  refuses: thing.refuses.query(refuse),
  unread: thing.unread.query(() => undefined),
});
const mutations = t.router({
  echo: thing.echo.mutation(({ input }) => input),
  strict: thing.strict.mutation(({ input }) => input),
  stripped: thing.stripped.mutation(stripped),
  wrong: thing.wrong.mutation(wrong),
  fails: thing.fails.mutation(fail),
  refuses: thing.refuses.mutation(refuse),
  unread: thing.unread.mutation(() => undefined),
});
const router = t.router({
  queries,
  mutations,
  stream: t.procedure.subscription(async function* () {
    yield 1;
  }),
});

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const context: RequestContext = { requestId: 'req-1' };
const { signal } = new AbortController();

function plain({ method, path, query = '', headers = {}, body }: Asked): ReturnType<typeof plainCallOf> {
  return plainCallOf({ method, headers, body }, { path, query: new URLSearchParams(query) }, router);
}

interface Told {
  readonly error: TRPCError;
  readonly path?: string | undefined;
}

async function ours(asked: Asked): Promise<unknown> {
  const told: Told[] = [];
  const call = plain(asked);
  if (call === undefined) throw new Error('it is not a plain call');
  const { status, headers, body } = await answerPlainCall(call, {
    router,
    context,
    signal,
    onError: (each) => told.push(each),
  });
  return { status, headers: Object.fromEntries(headers), body: String(body), told: told.map(summary) };
}

async function ofTrpc({ method, path, query = '', headers = {}, body }: Asked): Promise<unknown> {
  const told: Told[] = [];
  const response = await resolveResponse({
    router,
    createContext: async () => context,
    req: new Request(`http://caisson/trpc/${path}?${query}`, { method, headers, signal, body: body ?? null }),
    path,
    error: null,
    onError: (each) => told.push(each),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: text,
    told: told.map(summary),
  };
}

function summary({ error, path }: Told): unknown {
  return { path, name: error.name, code: error.code, message: error.message, cause: String(error.cause) };
}

const json = { 'content-type': 'application/json' };
const get = (name: string, input?: string): Asked => ({
  method: 'GET',
  path: `queries.${name}`,
  query: input === undefined ? '' : `input=${encodeURIComponent(input)}`,
});
const post = (name: string, body?: string): Asked => ({
  method: 'POST',
  path: `mutations.${name}`,
  headers: json,
  ...(body !== undefined && { body }),
});

const inputs: readonly (readonly [name: string, input: string | undefined])[] = [
  ['echo', undefined],
  ['echo', ''],
  ['echo', 'null'],
  ['echo', '"ä€🙂\\u2028 <&>"'],
  ['echo', '{"__proto__":{"admin":true},"constructor":1,"batch":[]}'],
  ['echo', '\uFEFF{"mark":"before"}'],
  ['echo', '{"name":'],
  ['echo', 'undefined'],
  ['strict', '{"name":"a"}'],
  ['strict', '{"name":"a","more":1}'],
  ['strict', '[]'],
  ['strict', undefined],
  ['stripped', undefined],
  ['wrong', undefined],
  ['unread', '{"not":'],
  ['unread', undefined],
  ...Object.keys(failures).map((name) => ['fails', JSON.stringify(name)] as const),
  ...errorCodes.map((code) => ['refuses', JSON.stringify(code)] as const),
];

describe('a plain call is answered as tRPC answers it', () => {
  test.each(inputs)('%s of %s by GET', async (name, input) => {
    const asked = get(name, input);
    expect(await ours(asked)).toEqual(await ofTrpc(asked));
  });

  test.each(inputs)('%s of %s by POST', async (name, input) => {
    const asked = post(name, input);
    expect(await ours(asked)).toEqual(await ofTrpc(asked));
  });

  test('whatever JSON it is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), fc.boolean(), async (input, isQuery) => {
        const asked = isQuery ? get('echo', input) : post('echo', input);
        expect(await ours(asked)).toEqual(await ofTrpc(asked));
      }),
    );
  });

  test('whatever text it is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), fc.boolean(), async (input, isQuery) => {
        const asked = isQuery ? get('strict', input.toWellFormed()) : post('strict', input.toWellFormed());
        expect(await ours(asked)).toEqual(await ofTrpc(asked));
      }),
    );
  });
});

test('a plain call has the signal of its caller, with its reason', async () => {
  const caller = new AbortController();
  const reason = new CaissonError('ABORTED', 'The caller has left.');
  const { promise, resolve } = Promise.withResolvers<AbortSignal | undefined>();
  const waiting = t.router({
    wait: t.procedure.query(({ signal: given }) => {
      resolve(given);
      return new Promise((_resolve, reject) => given?.addEventListener('abort', () => reject(reason)));
    }),
  });
  const call = plainCallOf(
    { method: 'GET', headers: {}, body: undefined },
    { path: 'wait', query: new URLSearchParams() },
    waiting,
  );
  if (call === undefined) throw new Error('it is not a plain call');
  const answer = answerPlainCall(call, { router: waiting, context, signal: caller.signal, onError: () => undefined });
  const given = await promise;
  caller.abort(reason);
  expect(given?.reason).toBe(reason);
  expect((await answer).status).toBe(500);
});

test.each<[what: string, asked: Asked]>([
  ['a path that is none', { method: 'GET', path: 'queries.none' }],
  ['a router', { method: 'GET', path: 'queries' }],
  ['a name of Object.prototype', { method: 'GET', path: 'constructor' }],
  ['an encoded path', { method: 'GET', path: 'queries%2Eecho' }],
  ['several paths', { method: 'GET', path: 'queries.echo,queries.echo', query: 'batch=1' }],
  ['a batch of one', { method: 'GET', path: 'queries.echo', query: 'batch=1&input={}' }],
  ['a query by POST', { ...post('echo', '{}'), path: 'queries.echo' }],
  ['a mutation by GET', { method: 'GET', path: 'mutations.echo' }],
  ['a mutation by PUT', { ...post('echo', '{}'), method: 'PUT' }],
  ['HEAD', { method: 'HEAD', path: 'queries.echo' }],
  ['a subscription', { method: 'GET', path: 'stream' }],
  ['a body of no type', { ...post('echo', '{}'), headers: {} }],
  ['text', { ...post('echo', '{}'), headers: { 'content-type': 'text/plain' } }],
  ['a form', { ...get('echo'), headers: { 'content-type': 'multipart/form-data; boundary=x' } }],
  ['bytes', { ...get('echo'), headers: { 'content-type': 'application/octet-stream' } }],
  ['an answer in lines', { ...get('echo'), headers: { accept: 'text/html, application/jsonl' } }],
  ['the same by the header of tRPC', { ...get('echo'), headers: { 'trpc-accept': 'application/jsonl' } }],
  ['parameters of a connection', { ...get('echo'), query: 'connectionParams={}' }],
])('%s is left to tRPC', (_what, asked) => {
  expect(plain(asked)).toBeUndefined();
});
