import type { RawData, WebSocket } from 'ws';
import type { z } from 'zod';
import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import { agentIdSchema } from '../../kernel/ids.ts';
import type { AttachedProcess } from '../../wire/attached-process.ts';
import type { GuestClient } from '../../wire/guest-client.ts';
import {
  type AttachDownMessage,
  attachStartSchema,
  attachUpMessageSchema,
  attachWindows,
} from '../api/schemas/process-socket.ts';
import type { WebSocketRoute } from '../http/web-sockets.ts';
import { ByteCredit } from './byte-credit.ts';
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
    async accept({ principal, params, signal }) {
      const agentId = agentIdSchema.safeParse(params['agentId']);
      if (!agentId.success) throw new CaissonError('BAD_REQUEST', 'The address names no agent.');
      try {
        const guest = await workspaces.open(principal, agentId.data);
        return (socket) => void new ProcessSocket(socket, guest, signal).serve();
      } catch (thrown) {
        const error = toCaissonError(thrown);
        // A browser does not learn why a handshake was refused, so what is no secret is told over the socket.
        if (signal.aborted || error.code === 'INTERNAL' || error.code === 'AGENT_NOT_FOUND') throw thrown;
        return (socket) => fail(socket, error);
      }
    },
  };
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
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal;
  readonly #credit = new ByteCredit(attachWindows.output);
  readonly #start = Promise.withResolvers<unknown>();
  /** Input that came before the process was there: one window at most. */
  #early: Buffer[] = [];
  #hasEarlyEnd = false;
  #isStarted = false;
  #process: AttachedProcess | undefined;
  #received = 0;
  #taken = 0;
  #told = 0;

  constructor(socket: WebSocket, guest: GuestClient, signal: AbortSignal) {
    this.#socket = socket;
    this.#guest = guest;
    this.#signal = AbortSignal.any([signal, this.#abort.signal]);
  }

  /** Resolves when all is over; never rejects. */
  async serve(): Promise<void> {
    const timer = setTimeout(() => this.#refuse('Nothing was said to start.'), startTimeoutMs);
    this.#signal.addEventListener('abort', () => {
      this.#credit.close();
      this.#start.reject(this.#signal.reason);
    });
    this.#socket.on('message', (data, isBinary) => this.#hear(data, isBinary));
    try {
      const { type: _, ...request } = parse(attachStartSchema, await this.#start.promise);
      clearTimeout(timer);
      const process = await this.#guest.processes.attach(request, this.#signal);
      this.#begin(process);
      for await (const pieces of process.output) {
        for (const piece of pieces) {
          if (piece.stream === 'gap') continue; // an attached process waits for its reader
          await this.#credit.take(piece.data.length);
          // One message in two fragments: the bytes themselves are not copied.
          this.#socket.send(tags[piece.stream], { binary: true, fin: false });
          this.#socket.send(piece.data, { binary: true, fin: true });
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

  #begin(process: AttachedProcess): void {
    this.#process = process;
    this.#tell({ type: 'started', process: process.info });
    const early = this.#early;
    this.#early = [];
    for (const data of early) this.#feed(process, data);
    if (this.#hasEarlyEnd) process.stdin.end();
  }

  #hear(data: RawData, isBinary: boolean): void {
    try {
      const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
      if (isBinary) this.#takeInput(bytes);
      else this.#takeMessage(JSON.parse(bytes.toString()));
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
    if (this.#process === undefined) this.#early.push(data);
    else this.#feed(this.#process, data);
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
        if (this.#process === undefined) this.#hasEarlyEnd = true;
        else this.#process.stdin.end();
        return;
      case 'signal':
        // That the process has ended is being told already.
        if (this.#process !== undefined) {
          this.#guest.processes.signal(this.#process.info.id, message.signal).catch(() => undefined);
        }
        return;
    }
  }

  /** What the process no longer reads counts as taken: its end tells the client. */
  #feed({ stdin }: AttachedProcess, data: Buffer): void {
    const taken = (): void => {
      this.#taken += data.length;
      if (this.#taken - this.#told < takenEveryBytes) return;
      this.#told = this.#taken;
      this.#tell({ type: 'taken', bytes: this.#told });
    };
    if (stdin.writable) stdin.write(data, taken);
    else taken();
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

function parse<Output>(schema: z.ZodType<Output>, value: unknown): Output {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`;
  throw new CaissonError('BAD_REQUEST', `The message is not valid${where}: ${issue?.message ?? 'unknown'}.`);
}
