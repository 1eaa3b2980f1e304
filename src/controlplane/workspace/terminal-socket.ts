import type { RawData, WebSocket } from 'ws';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import { agentIdSchema, terminalIdSchema } from '../../kernel/ids.ts';
import {
  attachRequestSchema,
  terminalBounds,
  type TerminalDownMessage,
  terminalUpMessageSchema,
} from '../../wire/contract/terminals.ts';
import type { TerminalChannel } from '../../wire/terminals-client.ts';
import { issuesOf } from '../api/error-mapping.ts';
import { isAtLeast } from '../auth/needs.ts';
import { routeNeeds } from '../http/route-needs.ts';
import type { WebSocketRoute, WebSocketService } from '../http/web-sockets.ts';
import type { Workspaces } from './workspaces.ts';

/** What may lie unsent for a slow client before its terminal is no longer read for it. */
const mostUnsentBytes = 256 * 1024;
/** What a message takes besides its bytes: 44.7 MB for 87,382 of one byte each. */
const bytesPerMessage = 512;

const querySchema = attachRequestSchema.omit({ name: true });

/** One reader of a terminal over a WebSocket: the messages of `src/wire/contract/terminals.ts`, to and from the guest. */
export function terminalSocketRoute(workspaces: Workspaces): WebSocketRoute {
  return {
    path: '/v1/agents/:agentId/terminals/:terminalId',
    needs: routeNeeds['WS /v1/agents/:agentId/terminals/:terminalId'],
    async accept({ demand, params, query, signal }) {
      const [agentId, terminalId, request] = [
        agentIdSchema.safeParse(params['agentId']),
        terminalIdSchema.safeParse(params['terminalId']),
        querySchema.safeParse(given(query)),
      ];
      if (!agentId.success) throw new CaissonError('BAD_REQUEST', 'The address names no agent.');
      const { guest, level } = await workspaces.reach(demand, agentId.data, signal);
      const mayDrive = isAtLeast(level, 'use');
      if (!terminalId.success) throw new CaissonError('BAD_REQUEST', 'The address names no terminal.');
      if (!request.success) {
        throw new CaissonError('BAD_REQUEST', `The query is not valid: ${request.error.issues[0]?.message ?? ''}.`);
      }
      if (!mayDrive && request.data.as === 'driver') return refusing(mayOnlyObserve());
      const { userName: name } = demand.principal;
      const as = mayDrive ? request.data.as : 'observer';
      try {
        const channel = await guest.terminals.attach(terminalId.data, { ...request.data, as, name }, signal);
        return (socket) => bridge(socket, channel, mayDrive);
      } catch (thrown) {
        const error = toCaissonError(thrown);
        if (signal.aborted || error.code === 'INTERNAL') throw thrown;
        return refusing(error);
      }
    },
  };
}

/** Told over the socket: a browser does not learn why a handshake was refused. */
function refusing(error: CaissonError): WebSocketService {
  const message: TerminalDownMessage = { type: 'ended', error: error.toJSON() };
  const tell = (socket: WebSocket): void => {
    socket.send(JSON.stringify(message));
    socket.close(1000);
  };
  return Object.assign(tell, { refusal: error.code });
}

function given(query: URLSearchParams): Record<string, unknown> {
  const after = query.get('after');
  return { ...Object.fromEntries(query), ...(after === null ? {} : { after: Number(after) }) };
}

/** Joins the two until either ends. Each way, who sends waits for who reads. */
function bridge(socket: WebSocket, channel: TerminalChannel, mayDrive: boolean): void {
  let isFull = false;
  let unsentMessages = 0;
  const unsentBytes = (): number => socket.bufferedAmount + unsentMessages * bytesPerMessage;
  const sent = (): void => {
    unsentMessages -= 1;
    if (!isFull || unsentBytes() > mostUnsentBytes / 2) return;
    isFull = false;
    channel.resume();
  };
  const down = (message: Buffer | string): void => {
    if (socket.readyState !== socket.OPEN) return;
    unsentMessages += 1;
    socket.send(message, sent);
    if (isFull || unsentBytes() <= mostUnsentBytes) return;
    isFull = true;
    channel.pause();
  };
  const tell = (message: TerminalDownMessage): void => down(JSON.stringify(message));

  socket.on('message', (data, isBinary) => {
    try {
      if (!take({ channel, mayDrive }, data, isBinary)) socket.pause();
    } catch (thrown) {
      tell({ type: 'ended', error: toCaissonError(thrown).toJSON() });
      socket.close(1008, 'bad message');
      channel.close();
    }
  });
  channel.onDrain(() => socket.resume());
  socket.once('close', () => channel.close());
  channel.listen({
    onOutput: down,
    onMessage: tell,
    onEnd: (error) => {
      if (error !== undefined) tell({ type: 'ended', error: error.toJSON() });
      socket.close(1000);
    },
  });
}

interface Attached {
  readonly channel: TerminalChannel;
  /** Whether its caller may do more than watch. */
  readonly mayDrive: boolean;
}

/** False when the guest takes no more for now. */
function take({ channel, mayDrive }: Attached, data: RawData, isBinary: boolean): boolean {
  if (!Buffer.isBuffer(data)) throw new CaissonError('INTERNAL', 'A message came in parts.');
  if (isBinary && !mayDrive) throw mayOnlyObserve();
  if (isBinary) {
    if (data.length <= terminalBounds.inputChunkBytes) return channel.sendInput(data);
    throw new CaissonError('BODY_TOO_LARGE', `Input exceeds ${terminalBounds.inputChunkBytes} bytes in one message.`);
  }
  if (data.length > terminalBounds.controlBytes) throw new CaissonError('BODY_TOO_LARGE', 'The message is too large.');
  const message = terminalUpMessageSchema.safeParse(parseJson(data.toString()));
  if (message.success) {
    const { type } = message.data;
    if (!mayDrive && type === 'give') return true; // it has nothing to give
    if (!mayDrive && type !== 'ack') throw mayOnlyObserve();
    return channel.send(message.data);
  }
  throw new CaissonError('BAD_REQUEST', `The message is not valid: ${issuesOf(message.error)[0]?.message ?? ''}.`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // no schema accepts it
  }
}

function mayOnlyObserve(): CaissonError {
  return new CaissonError('FORBIDDEN', 'You may view this terminal, and not type in it.', {
    hint: 'Attach as an observer. Ask the owner of the agent for more.',
  });
}
