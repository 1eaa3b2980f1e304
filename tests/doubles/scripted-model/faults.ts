import { failedEvents, responseEvents } from '../../../src/controlplane/demo-model/responses-events.ts';
import {
  refuse,
  sendEvent,
  startStream,
  type Exchange,
} from '../../../src/controlplane/demo-model/responses-answer.ts';
import { answer } from '../../../src/controlplane/demo-model/step.ts';

/** What can go wrong between Codex and a model service. */
export type Fault =
  /** An HTTP error in OpenAI's shape; 429 is a rate limit. */
  | { readonly kind: 'http'; readonly status: number }
  /** 429 `insufficient_quota`: Codex does not retry it. */
  | { readonly kind: 'quota' }
  /** Some text deltas (numbered words), then the socket is destroyed. */
  | { readonly kind: 'cut'; readonly afterDeltas: number }
  /** The stream ends with `response.failed` and this code. */
  | { readonly kind: 'failed'; readonly code: string }
  /** The head of the stream, then nothing. */
  | { readonly kind: 'hang' }
  /** Not even the head of a response. */
  | { readonly kind: 'silence' }
  /** The socket is destroyed at once. */
  | { readonly kind: 'reset' };

/** Answers a request by a fault. Those that stay silent last until the caller goes away or the server closes. */
export async function inflict(fault: Fault, exchange: Exchange): Promise<void> {
  const { request, response, signal } = exchange;
  switch (fault.kind) {
    case 'http':
      return refuse(response, fault.status, httpError(fault.status));
    case 'quota':
      return refuse(response, 429, {
        type: 'insufficient_quota',
        code: 'insufficient_quota',
        message: 'You exceeded your current quota.',
      });
    case 'cut': {
      startStream(response);
      const text = answer(numberedWords(fault.afterDeltas + 1));
      let deltas = 0;
      for await (const event of responseEvents(text, request, { delayMs: 0, signal })) {
        if (event.type === 'response.output_text.delta' && ++deltas > fault.afterDeltas) break;
        await sendEvent(exchange, event);
      }
      await flushed(exchange);
      response.destroy();
      return;
    }
    case 'failed':
      startStream(response);
      for (const event of failedEvents(request, { code: fault.code, message: `Scripted failure ${fault.code}.` })) {
        await sendEvent(exchange, event);
      }
      response.end();
      return;
    case 'hang':
      startStream(response);
      return aborted(signal);
    case 'silence':
      return aborted(signal);
    case 'reset':
      response.destroy();
  }
}

/** `word-1 word-2 …`: the text of a stream that a fault cuts. */
export function numberedWords(count: number): string {
  return Array.from({ length: count }, (_, index) => `word-${index + 1} `).join('');
}

const httpErrors: ReadonlyMap<number, { type: string; code: string | null; message: string }> = new Map([
  [400, { type: 'invalid_request_error', code: 'invalid_request', message: 'The request is wrong.' }],
  [401, { type: 'invalid_request_error', code: 'invalid_api_key', message: 'Incorrect API key provided.' }],
  [403, { type: 'invalid_request_error', code: 'forbidden', message: 'This project may not use the model.' }],
  [404, { type: 'invalid_request_error', code: 'model_not_found', message: 'The model does not exist.' }],
  [429, { type: 'requests', code: 'rate_limit_exceeded', message: 'Rate limit reached.' }],
  [500, { type: 'server_error', code: null, message: 'The server had an error.' }],
]);

function httpError(status: number): { type: string; code: string | null; message: string } {
  return httpErrors.get(status) ?? { type: 'server_error', code: null, message: `Scripted HTTP ${status}.` };
}

/** Everything written so far has been handed to the system, so that a cut loses none of it. */
function flushed({ response }: Exchange): Promise<void> {
  return new Promise((resolve) => response.write(': about to be cut\n\n', () => resolve()));
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
