import { once } from 'node:events';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { responseEvents, type ResponseEvent } from './responses-events.ts';
import type { ModelRequest } from './responses-request.ts';
import type { Step } from './step.ts';

/** One model request and the HTTP response that it waits for. */
export interface Exchange {
  readonly request: ModelRequest;
  readonly headers: IncomingHttpHeaders;
  readonly response: ServerResponse;
  /** Fires when the caller goes away or the server closes. */
  readonly signal: AbortSignal;
}

/**
 * Answers with a step of a script: events as the caller reads them, or one JSON document when it did not ask for a
 * stream, or an HTTP error.
 */
export async function play(exchange: Exchange, step: Step, delayMs: number): Promise<void> {
  const { request, response, signal } = exchange;
  if (step.kind === 'refusal') return refuse(response, step.status, step.error, step.headers);
  const events = responseEvents(step, request, { delayMs, signal });
  if (!request.stream) return sendWhole(response, events);
  startStream(response);
  for await (const event of events) await sendEvent(exchange, event);
  response.end();
}

/** Sends the head of an event stream at once. */
export function startStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  response.flushHeaders();
}

/**
 * Sends one event; waits while the caller reads slower than it is sent to.
 *
 * @throws AbortError when the caller goes away meanwhile.
 */
export async function sendEvent({ response, signal }: Exchange, event: ResponseEvent): Promise<void> {
  signal.throwIfAborted();
  const roomLeft = response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  if (!roomLeft) await once(response, 'drain', { signal });
}

/** Answers with an error in OpenAI's shape. */
export function refuse(
  response: ServerResponse,
  status: number,
  error: { readonly message: string; readonly type?: string; readonly code: string | null },
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = { error: { type: 'invalid_request_error', param: null, ...error } };
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

async function sendWhole(response: ServerResponse, events: AsyncIterable<ResponseEvent>): Promise<void> {
  let last: ResponseEvent | undefined;
  for await (const event of events) last = event;
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(last?.['response'] ?? null));
}
