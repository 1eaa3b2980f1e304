import * as z from 'zod';
import type { Clock } from '../../kernel/clock.ts';
import { processIdSchema } from '../../kernel/ids.ts';
import {
  attachHeader,
  attachRequestSchema,
  execRequestSchema,
  inputRequestSchema,
  killRequestSchema,
  pidSignalRequestSchema,
  processPaths,
  signalRequestSchema,
  startRequestSchema,
} from '../../wire/contract/processes.ts';
import { decodeHeaderJson } from '../../wire/header-json.ts';
import { BoundedWork } from '../bounded-work.ts';
import { answerJson, goneWith, type InwardCall, parseInput, readJsonBody, type Route } from '../inward-call.ts';
import { attachProcess } from './attach-process.ts';
import { execProcess } from './exec-process.ts';
import { streamLog } from './log-stream.ts';
import type { ProcessTable } from './process-table.ts';

const paramsSchema = z.object({ id: processIdSchema });
const numberSchema = z
  .string()
  .regex(/^\d{1,16}$/, 'not a whole number')
  .transform(Number)
  .pipe(z.int().max(Number.MAX_SAFE_INTEGER));
const logQuerySchema = z.object({ after: numberSchema, follow: z.enum(['true', 'false']) });
const waitQuerySchema = z.object({ timeoutMs: numberSchema.pipe(z.int().max(3_600_000)) });

/** Each reads two or three files of every process. */
const maxLists = 2;
const maxWaitingLists = 64;

/** The table of `wire/contract/processes.ts`, as it is answered. */
export function processesRoutes(services: { readonly table: ProcessTable; readonly clock: Clock }): readonly Route[] {
  const { table, clock } = services;
  const lists = new BoundedWork({ name: 'lists of processes', running: maxLists, waiting: maxWaitingLists });
  const idOf = ({ params }: InwardCall) => parseInput(paramsSchema, params, 'process id').id;
  const body = async <Body>(schema: z.ZodType<Body>, { stream }: InwardCall, what: string): Promise<Body> =>
    parseInput(schema, await readJsonBody(stream), what);

  return [
    {
      method: 'GET',
      path: processPaths.all,
      handle: async ({ stream }) => answerJson(stream, await lists.run(() => table.list(), goneWith(stream))),
    },
    {
      method: 'POST',
      path: processPaths.all,
      handle: async (call) =>
        answerJson(call.stream, await table.start(await body(startRequestSchema, call, 'process'))),
    },
    {
      method: 'POST',
      path: processPaths.exec,
      handle: async (call) => execProcess(call.stream, await body(execRequestSchema, call, 'command'), services),
    },
    {
      method: 'POST',
      path: processPaths.attach,
      handle: ({ stream, headers }) => {
        const header = decodeHeaderJson(headers[attachHeader]);
        return attachProcess(stream, parseInput(attachRequestSchema, header, `header ${attachHeader}`), services);
      },
    },
    {
      method: 'POST',
      path: processPaths.signalPid,
      handle: async (call) => {
        const { pid, signal } = await body(pidSignalRequestSchema, call, 'signal');
        table.signalPid(pid, signal);
        answerJson(call.stream, {});
      },
    },
    {
      method: 'POST',
      path: processPaths.kill,
      handle: async (call) => answerJson(call.stream, await table.kill(await body(killRequestSchema, call, 'kill'))),
    },
    {
      method: 'GET',
      path: processPaths.one(':id'),
      handle: (call) => answerJson(call.stream, table.get(idOf(call)).info()),
    },
    {
      method: 'GET',
      path: processPaths.wait(':id'),
      handle: async (call) => {
        const { timeoutMs } = parseInput(waitQuerySchema, Object.fromEntries(call.query), 'query');
        const process = table.get(idOf(call));
        const { promise, resolve } = Promise.withResolvers<void>();
        const cancel = clock.schedule(timeoutMs, resolve);
        call.stream.once('close', resolve);
        // Not a race with `exited`: that would hold each wait that is over for as long as the process runs.
        const forget = process.awaitExit(resolve);
        await promise;
        forget();
        cancel();
        answerJson(call.stream, process.info());
      },
    },
    {
      method: 'POST',
      path: processPaths.input(':id'),
      handle: async (call) => {
        const { data, end } = await body(inputRequestSchema, call, 'input');
        answerJson(call.stream, table.get(idOf(call)).write(Buffer.from(data, 'base64'), end));
      },
    },
    {
      method: 'POST',
      path: processPaths.signal(':id'),
      handle: async (call) => {
        const { signal } = await body(signalRequestSchema, call, 'signal');
        table.signal(idOf(call), signal);
        answerJson(call.stream, {});
      },
    },
    {
      method: 'GET',
      path: processPaths.logs(':id'),
      handle: (call) => {
        const id = idOf(call);
        const { after, follow } = parseInput(logQuerySchema, Object.fromEntries(call.query), 'query');
        const output = table.outputOf(id);
        streamLog(call.stream, { process: table.get(id), output, after, follow: follow === 'true' });
      },
    },
  ];
}
