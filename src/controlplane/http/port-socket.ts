import type { Duplex } from 'node:stream';
import { agentIdSchema } from '../../kernel/ids.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { SocketDuplex } from '../../kernel/socket-duplex.ts';
import { portSchema } from '../../wire/contract/ports.ts';
import { gatherSmallPieces, holdBackSmallPieces } from '../../wire/small-pieces.ts';
import type { Workspaces } from '../workspace/workspaces.ts';
import { routeNeeds } from './route-needs.ts';
import type { WebSocketRoute } from './web-sockets.ts';

/**
 * `/v1/agents/:agentId/ports/:port/connect`: a TCP connection to a port of the agent's sandbox, as binary messages both
 * ways; a text message `end` ends one half, and `AliveMessage` is a sign of life. A client that may stop reading sends pongs by
 * itself, one in 20 s: the pings that it would answer lie behind what it does not read. The handshake is refused with what kept
 * the connection from being made: AGENT_NOT_FOUND, SANDBOX_NOT_RUNNING, PORT_NOT_LISTENING.
 */
export function portSocketRoute(workspaces: Pick<Workspaces, 'running'>): WebSocketRoute {
  return {
    path: '/v1/agents/:agentId/ports/:port/connect',
    needs: routeNeeds['WS /v1/agents/:agentId/ports/:port/connect'],
    async accept({ demand, params, signal }) {
      const agentId = agentIdSchema.safeParse(params['agentId']);
      if (!agentId.success) throw new CaissonError('AGENT_NOT_FOUND', 'There is no such agent.');
      const guest = await workspaces.running(demand, agentId.data, signal);
      const port = portSchema.safeParse(Number(params['port']));
      if (!port.success) throw new CaissonError('BAD_REQUEST', 'A port is a number from 1 to 65535.');
      const connection = await guest.ports.connect(port.data, { signal });
      connection.on('error', () => undefined); // also emits 'close'
      // The key may be revoked, or the caller gone, before the socket is open and after.
      signal.addEventListener('abort', () => connection.destroy(), { once: true });
      if (signal.aborted) connection.destroy();
      return (socket) => join(new SocketDuplex(socket), connection);
    },
  };
}

/** Each way ends by itself; a break of either is a break of both. */
function join(socket: Duplex, connection: Duplex): void {
  socket.on('error', () => undefined); // also emits 'close'
  socket.once('close', () => connection.destroy());
  connection.once('close', () => {
    if (connection.readableEnded && connection.writableFinished) return;
    socket.destroy(connection.errored ?? new CaissonError('WIRE_LOST', 'The connection to the sandbox broke.'));
  });
  if (connection.destroyed) socket.destroy(connection.errored ?? undefined);
  gatherSmallPieces(socket);
  holdBackSmallPieces(socket);
  holdBackSmallPieces(connection);
  socket.pipe(connection).pipe(socket);
}
