import { CaissonError } from '../../kernel/errors.ts';
import { portPaths, portSchema } from '../../wire/contract/ports.ts';
import { BoundedWork } from '../bounded-work.ts';
import { answerJson, goneWith, parseInput, type Route } from '../inward-call.ts';
import type { PortConnections } from './port-connections.ts';
import type { PortTable } from './port-table.ts';

/** Each may look at all that the processes have open. */
const maxLists = 2;
const maxWaitingLists = 64;

interface PortServices {
  readonly table: PortTable;
  readonly connections: PortConnections;
}

/** The table of `contract/ports.ts`, as it is answered. */
export function portRoutes({ table, connections }: PortServices): readonly Route[] {
  const lists = new BoundedWork({ name: 'lists of ports', running: maxLists, waiting: maxWaitingLists });
  return [
    {
      method: 'GET',
      path: portPaths.list,
      handle: async ({ stream }) =>
        answerJson(stream, { ports: await lists.run(() => table.list({ again: true }), goneWith(stream)) }),
    },
    {
      method: 'POST',
      path: portPaths.stream(':port'),
      handle: async ({ stream, params: { port = '' } }) => {
        const wanted = parseInput(portSchema, /^\d{1,5}$/.test(port) ? Number(port) : port, 'port');
        if (table.isOwn(wanted)) throw new CaissonError('FORBIDDEN', `Port ${wanted} is Caisson's own.`);
        await connections.connect(stream, wanted);
      },
    },
  ];
}
