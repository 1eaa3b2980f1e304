import {
  attachRequestSchema,
  openTerminalSchema,
  terminalPaths,
  terminalSizeSchema,
} from '../../wire/contract/terminals.ts';
import { answerJson, parseInput, readJsonBody, type Route } from '../inward-call.ts';
import type { Terminals } from './terminals.ts';

/** The table of `src/wire/contract/terminals.ts`. */
export function terminalRoutes(terminals: Terminals): readonly Route[] {
  const { terminals: all } = terminalPaths;
  return [
    {
      method: 'POST',
      path: all,
      async handle({ stream }) {
        const request = parseInput(openTerminalSchema, await readJsonBody(stream), 'terminal');
        answerJson(stream, (await terminals.open(request)).info());
      },
    },
    {
      method: 'GET',
      path: all,
      handle: ({ stream }) => answerJson(stream, { terminals: terminals.list().map((terminal) => terminal.info()) }),
    },
    {
      method: 'GET',
      path: `${all}/:id`,
      handle: ({ stream, params }) => answerJson(stream, terminals.get(params['id'] ?? '').info()),
    },
    {
      method: 'PUT',
      path: `${all}/:id/size`,
      async handle({ stream, params }) {
        const size = parseInput(terminalSizeSchema, await readJsonBody(stream), 'size');
        const terminal = terminals.get(params['id'] ?? '');
        terminal.resize(size);
        answerJson(stream, terminal.info());
      },
    },
    {
      method: 'DELETE',
      path: `${all}/:id`,
      async handle({ stream, params }) {
        answerJson(stream, (await terminals.close(params['id'] ?? '')).info());
      },
    },
    {
      method: 'POST',
      path: `${all}/:id/attach`,
      handle({ stream, params, query }) {
        const after = query.get('after');
        const request = parseInput(
          attachRequestSchema,
          { ...Object.fromEntries(query), ...(after === null ? {} : { after: Number(after) }) },
          'attachment',
        );
        terminals.get(params['id'] ?? '').attach(stream, request);
      },
    },
  ];
}
