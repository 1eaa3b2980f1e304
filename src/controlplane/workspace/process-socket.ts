import type { RawData, WebSocket } from 'ws';
import type { z } from 'zod';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import { agentIdSchema } from '../../kernel/ids.ts';
import type { AttachedProcess } from '../../wire/attached-process.ts';
import type { GuestClient } from '../../wire/guest-client.ts';
import type { OutputPiece } from '../../wire/output-frames.ts';
import {
  type AttachDownMessage,
  type AttachStart,
  attachStartSchema,
  attachUpMessageSchema,
  attachWindows,
} from '../api/schemas/process-socket.ts';
import { issuesOf } from '../api/error-mapping.ts';
import { demandInputShape } from '../http/input-shape.ts';
import { routeNeeds } from '../http/route-needs.ts';
import type { WebSocketCall, WebSocketRoute } from '../http/web-sockets.ts';
import { ByteCredit } from './byte-credit.ts';
import { InputRelay } from './input-relay.ts';
import { PendingSignals } from './pending-signals.ts';
import type { Workspaces } from './workspaces.ts';

const tags = { stdout: Buffer.from([1]), stderr: Buffer.from([2]) } as const;

/** How often the client is told what of its input was taken. */
const takenEveryBytes = attachWindows.input / 4;
/** A client that asks for a socket and then says nothing. */
const startTimeoutMs = 30_000;

/** A process of a caller over a WebSocket: see `process-socket.ts` of the schemas for what is said. */
export function processSocketRoute(workspaces: Workspaces): WebSocketRoute {
  return {
    path: '/v1/agents/:agentId/processes/attach',
    needs: routeNeeds['WS /v1/agents/:agentId/processes/attach'],
    async accept({ demand, params, signal, begin }) {
      const agentId = agentIdSchema.safeParse(params['agentId']);
      if (!agentId.success) throw new CaissonError('BAD_REQUEST', 'The address names no agent.');
      try {
        const guest = await workspaces.openToRun(demand, agentId.data, signal);
        return (socket) => void new ProcessSocket(socket, { guest, signal, begin }).serve();
      } catch (thrown) {
        const error = toCaissonError(thrown);
        // A browser does not learn why a handshake was refused, so what is no secret is told over the socket.
        if (signal.aborted || error.code === 'INTERNAL' || error.code === 'AGENT_NOT_FOUND') throw thrown;
        return Object.assign((socket: WebSocket) => fail(socket, error), { refusal: error.code });
      }
    },
  };
}

interface ProcessSocketOptions extends Pick<WebSocketCall, 'signal' | 'begin'> {
  readonly guest: GuestClient;
}

/**
 * One process and its socket:
 *
 *     waiting for `start` --> running --the process ends--> closed
 *
 * The socket's end, or anything that the client may not send, kills the process.
 */
class ProcessSocket {
  readonly #socket: WebSocket;
  readonly #guest: GuestClient;
  readonly #beginRecord: WebSocketCall['begin'];
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal;
  readonly #credit: ByteCredit;
  readonly #start = Promise.withResolvers<unknown>();
  readonly #input = new InputRelay((bytes) => this.#taken(bytes));
  readonly #signals = new PendingSignals();
  #isStarted = false;
  #received = 0;
  #takenBytes = 0;
  #told = 0;

  constructor(socket: WebSocket, { guest, signal, begin }: ProcessSocketOptions) {
    this.#socket = socket;
    this.#guest = guest;
    this.#beginRecord = begin;
    this.#signal = AbortSignal.any([signal, this.#abort.signal]);
    this.#credit = new ByteCredit(attachWindows.output, this.#signal);
  }

  /** Resolves when all is over; never rejects. */
  async serve(): Promise<void> {
    const timer = setTimeout(() => this.#refuse('Nothing was said to start.'), startTimeoutMs);
    this.#signal.addEventListener('abort', () => this.#start.reject(this.#signal.reason));
    this.#socket.on('message', (data, isBinary) => this.#hear(data, isBinary));
    try {
      const { type: _, ...request } = parse(attachStartSchema, await this.#start.promise);
      clearTimeout(timer);
      const process = await this.#attach(request);
      // A sandbox that dies is told also while the client takes no output.
      process.exit.catch((thrown: unknown) => this.#abort.abort(thrown));
      this.#begin(process);
      for await (const pieces of process.output) {
        for (const piece of pieces) {
          if (piece.stream === 'gap') continue; // an attached process waits for its reader
          await this.#credit.take(piece.data.length);
          await this.#send(piece);
        }
        this.#signal.throwIfAborted();
      }
      this.#tell({ type: 'exited', ...(await process.exit) });
      this.#socket.close(1000);
    } catch (thrown) {
      fail(this.#socket, toCaissonError(thrown));
    } finally {
      clearTimeout(timer);
      this.#abort.abort(new CaissonError('ABORTED', 'The socket is closed.'));
    }
  }

  async #attach(request: Omit<AttachStart, 'type'>): Promise<AttachedProcess> {
    const record = await this.#beginRecord('processes.spawn', request);
    try {
      const process = await this.#guest.processes.attach(request, this.#signal);
      record.end({ outcome: 'ok', targets: [process.info.id] });
      return process;
    } catch (thrown) {
      record.end({ outcome: toCaissonError(thrown).code, hasReachedSandbox: true });
      throw thrown;
    }
  }

  #begin({ info, stdin }: AttachedProcess): void {
    this.#tell({ type: 'started', process: info });
    this.#input.begin(stdin);
    this.#signals.begin((signal) => this.#guest.processes.signal(info.id, signal));
  }

  async #send({ stream, data }: Exclude<OutputPiece, { stream: 'gap' }>): Promise<void> {
    // A client that says it took what it has not even read is waited for all the same.
    const isBehind = this.#socket.bufferedAmount > 2 * attachWindows.output;
    // One message in two fragments: the bytes themselves are not copied.
    this.#socket.send(tags[stream], { binary: true, fin: false });
    const gone = new Promise<unknown>((resolve) => this.#socket.send(data, { binary: true, fin: true }, resolve));
    if (isBehind) await gone;
  }

  #hear(data: RawData, isBinary: boolean): void {
    if (this.#signal.aborted) return; // whoever was refused may go on until its socket is closed
    try {
      const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
      if (isBinary) this.#takeInput(bytes);
      else this.#takeMessage(readMessage(bytes.toString()));
    } catch (thrown) {
      const reason = thrown instanceof CaissonError ? thrown.message : 'A message is not JSON.';
      this.#refuse(reason);
    }
  }

  #takeInput(data: Buffer): void {
    this.#received += data.length;
    if (!this.#isStarted || this.#received - this.#told > attachWindows.input) {
      throw new CaissonError('BAD_REQUEST', 'Input came before the start, or more than the window holds.');
    }
    this.#input.write(data);
  }

  #takeMessage(value: unknown): void {
    if (!this.#isStarted) {
      this.#isStarted = true;
      this.#start.resolve(value);
      return;
    }
    const message = parse(attachUpMessageSchema, value);
    switch (message.type) {
      case 'taken':
        this.#credit.give(message.bytes);
        return;
      case 'end':
        this.#input.end();
        return;
      case 'signal':
        this.#signals.add(message.signal);
        return;
    }
  }

  #taken(bytes: number): void {
    this.#takenBytes += bytes;
    if (this.#takenBytes - this.#told < takenEveryBytes) return;
    this.#told = this.#takenBytes;
    this.#tell({ type: 'taken', bytes: this.#told });
  }

  #tell(message: AttachDownMessage): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #refuse(reason: string): void {
    this.#abort.abort(new CaissonError('BAD_REQUEST', reason));
  }
}

function fail(socket: WebSocket, error: CaissonError): void {
  if (socket.readyState !== socket.OPEN) return;
  socket.send(JSON.stringify({ type: 'failed', error: error.toJSON() } satisfies AttachDownMessage));
  socket.close(error.code === 'BAD_REQUEST' ? 1008 : 1000);
}

function readMessage(text: string): unknown {
  demandInputShape(text);
  return JSON.parse(text);
}

function parse<Output>(schema: z.ZodType<Output>, value: unknown): Output {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = issuesOf(parsed.error);
  const where = issue === undefined || issue.path === '' ? '' : ` at ${issue.path}`;
  throw new CaissonError('BAD_REQUEST', `The message is not valid${where}: ${issue?.message ?? 'unknown'}.`);
}
