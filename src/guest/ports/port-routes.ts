import { CaissonError } from '../../kernel/errors.ts';
import { portPaths, portSchema } from '../../wire/contract/ports.ts';
import { answerJson, parseInput, type Route } from '../inward-call.ts';
import type { PortConnections } from './port-connections.ts';
import type { PortTable } from './port-table.ts';

interface PortServices {
  readonly table: PortTable;
  readonly connections: PortConnections;
}

/** The table of `contract/ports.ts`, as it is answered. */
export function portRoutes({ table, connections }: PortServices): readonly Route[] {
  return [
    {
      method: 'GET',
      path: portPaths.list,
      handle: async ({ stream }) => answerJson(stream, { ports: await table.list({ again: true }) }),
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
