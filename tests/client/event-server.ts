import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { initTRPC, tracked, TRPCError } from '@trpc/server';
import { createHTTPHandler } from '@trpc/server/adapters/standalone';
import { z } from 'zod';
import { CaissonError } from '../../src/kernel/errors.ts';
import { newAgentId } from '../../src/kernel/ids.ts';

export const agentId = newAgentId();

/** A stored event, as the control plane would send it. */
export function event(seq: number, delta = `word ${seq} `) {
  return {
    seq,
    agentId,
    conversationId: null,
    runId: null,
    at: 1_700_000_000_000 + seq,
    type: 'harness.other',
    sessionUpdate: 'test',
    update: delta,
  };
}

/** What one connection does: yields events, throws, or waits for ever. */
export type Connection = (request: {
  readonly after: number;
  readonly signal: AbortSignal;
}) => AsyncGenerator<ReturnType<typeof event>>;

export interface EventServerOptions {
  readonly pingMs?: number;
  readonly reconnectAfterInactivityMs?: number;
}

/** A real tRPC server over HTTP whose `events.subscribe` does, connection after connection, what the test says. */
export class EventServer implements AsyncDisposable {
  readonly requests: { readonly after: number; readonly authorization: string | undefined }[] = [];
  readonly #server: Server;
  readonly #open = new Set<ServerResponse>();
  #port = 0;

  constructor(connections: Connection[], options: EventServerOptions = {}) {
    const trpc = initTRPC.context<{ authorization: string | undefined }>().create({
      sse: {
        ping: { enabled: options.pingMs !== undefined, intervalMs: options.pingMs ?? 1000 },
        ...(options.reconnectAfterInactivityMs === undefined
          ? {}
          : { client: { reconnectAfterInactivityMs: options.reconnectAfterInactivityMs } }),
      },
      errorFormatter: ({ shape, error }) => ({
        ...shape,
        data: { ...shape.data, caisson: error.cause instanceof CaissonError ? error.cause.toJSON() : undefined },
      }),
    });
    const requests = this.requests;
    const router = trpc.router({
      events: trpc.router({
        subscribe: trpc.procedure
          .input(z.object({ agentId: z.string(), after: z.number() }))
          .subscription(async function* ({ input, ctx, signal }) {
            requests.push({ after: input.after, authorization: ctx.authorization });
            const connection = connections.length > 1 ? connections.shift() : connections[0];
            if (connection === undefined) throw new Error('the test has no connection to serve');
            for await (const item of connection({ after: input.after, signal: signal ?? AbortSignal.abort() })) {
              yield tracked(String(item.seq), item);
            }
          }),
      }),
    });
    const handle = createHTTPHandler({
      router,
      basePath: '/trpc/',
      createContext: ({ req }) => ({ authorization: req.headers.authorization }),
    });
    this.#server = createServer((request, response) => {
      this.#open.add(response);
      response.on('close', () => this.#open.delete(response));
      handle(request, response);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async listen(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  /** Breaks every open connection in the middle. */
  cut(): void {
    for (const response of this.#open) response.socket?.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Throws an error of ours as the API does. */
export function fail(code: 'CURSOR_EXPIRED' | 'UNAUTHORIZED' | 'AGENT_NOT_FOUND' | 'DRAINING', message: string): never {
  throw new TRPCError({
    code: 'BAD_REQUEST',
    message,
    cause: new CaissonError(code, message, { details: { seq: 7 } }),
  });
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
