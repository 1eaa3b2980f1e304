import type { RunId } from '../../kernel/ids.ts';
import {
  changesPaths,
  diffRequestSchema,
  restoreRequestSchema,
  statusRequestSchema,
} from '../../wire/contract/changes.ts';
import { BoundedWork } from '../bounded-work.ts';
import { answerJson, goneWith, parseInput, readJsonBody, type Route } from '../inward-call.ts';
import type { Changes } from './changes.ts';

/** Each reads a hundred files. */
const maxLists = 2;
const maxWaitingLists = 64;

/** The table of `wire/contract/changes.ts`, as it is answered. `activeRun`: some run that is under way. */
export function changesRoutes(changes: Changes, activeRun: () => RunId | undefined): readonly Route[] {
  const lists = new BoundedWork({ name: 'lists of checkpoints', running: maxLists, waiting: maxWaitingLists });
  return [
    {
      method: 'GET',
      path: changesPaths.checkpoints,
      handle: async ({ stream }) =>
        answerJson(stream, { checkpoints: await lists.run(() => changes.checkpoints(), goneWith(stream)) }),
    },
    {
      method: 'POST',
      path: changesPaths.status,
      handle: async ({ stream }) => {
        const request = parseInput(statusRequestSchema, await readJsonBody(stream), 'status request');
        answerJson(stream, await changes.status(request, goneWith(stream)));
      },
    },
    {
      method: 'POST',
      path: changesPaths.diff,
      handle: async ({ stream }) => {
        const request = parseInput(diffRequestSchema, await readJsonBody(stream), 'diff request');
        answerJson(stream, await changes.diff(request, goneWith(stream)));
      },
    },
    {
      method: 'POST',
      path: changesPaths.restore,
      handle: async ({ stream }) => {
        const request = parseInput(restoreRequestSchema, await readJsonBody(stream), 'restore request');
        answerJson(stream, await changes.restore(request, activeRun));
      },
    },
  ];
}
