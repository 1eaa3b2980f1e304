import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { CaissonError } from '../kernel/errors.ts';
import { callFailed, notCaisson, unreachable, type Endpoint } from './endpoint.ts';
import { errorOfShape } from './call-answer.ts';
import { SilenceWatch } from './silence-watch.ts';

/** One item of a subscription as it came: the id that tRPC's `tracked()` gave to it, and its JSON. */
export interface StreamedItem {
  readonly id: string | undefined;
  readonly json: string;
}

export interface SseRequest {
  /** Of the procedure, such as `events.subscribe`. */
  readonly path: string;
  readonly input: unknown;
  readonly signal: AbortSignal;
  /** Called when items or pings arrive: the subscription itself is alive, not only the connection. */
  readonly onAlive?: () => void;
}

/** Longest item that is taken, in characters. A longer one ends the stream with an error. */
const longestItem = 64 * 1024 * 1024;

/** How long the server may say nothing, until it tells its own figure in `connected`. */
const defaultSilenceMs = 30_000;

/**
 * One connection to a subscription of the API, in batches of what one read brought. It reads only when it is asked for
 * more, so a slow consumer slows the server down. Ends when the server says that the subscription is over; throws
 * CONTROL_PLANE_UNREACHABLE when the connection breaks, ends early or falls silent, and the control plane's own error when
 * that is what it sent.
 */
export async function* openSseStream(endpoint: Endpoint, request: SseRequest): AsyncGenerator<StreamedItem[]> {
  const silent = new AbortController();
  // Runs only while a read is under way: a slow consumer is no silence.
  const silence = new SilenceWatch(endpoint.url, defaultSilenceMs, (error) => silent.abort(error));
  const signal = AbortSignal.any([request.signal, silent.signal]);
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  try {
    silence.start();
    const response = await connect(endpoint, request, signal);
    reader = response.body?.getReader();
    if (reader === undefined) throw notCaisson(endpoint.url, response);
    const decoder = new TextDecoder();
    const frames = new FrameReader();
    for (;;) {
      silence.start();
      const { done, value } = await reader.read();
      silence.stop();
      if (done) throw unreachable(endpoint.url, `it ended the stream of ${request.path}`);
      const batch = frames.read(decoder.decode(value, { stream: true }));
      if (frames.alive) request.onAlive?.();
      if (frames.silenceMs !== undefined) silence.limitMs = frames.silenceMs;
      if (batch.length > 0) yield batch;
      if (frames.failure !== undefined) throw frames.failure;
      if (frames.returned) return;
    }
  } catch (thrown) {
    if (silent.signal.aborted) throw silent.signal.reason;
    throw callFailed(endpoint.url, thrown, request.signal);
  } finally {
    silence.stop();
    // A stream that has failed rejects here with the error that is being thrown already.
    reader?.cancel().catch(() => undefined);
  }
}

async function connect(endpoint: Endpoint, request: SseRequest, signal: AbortSignal): Promise<Response> {
  const input = encodeURIComponent(JSON.stringify(request.input));
  const response = await endpoint.fetch(`${endpoint.trpcUrl}/${request.path}?input=${input}`, {
    headers: { accept: 'text/event-stream' },
    cache: 'no-store',
    signal,
  });
  const type = response.headers.get('content-type') ?? '';
  if (response.ok && type.startsWith('text/event-stream')) return response;
  // A request that fails before its procedure runs is answered in plain JSON, not as a stream.
  if (!type.startsWith('application/json')) throw notCaisson(endpoint.url, response);
  const body: unknown = await response.json();
  if (typeof body === 'object' && body !== null && 'error' in body) throw errorOfShape(body.error);
  throw notCaisson(endpoint.url, response);
}

/** Turns text into items and keeps what tRPC's own frames said. After a failure or return it takes no more. */
class FrameReader {
  /** The server's `reconnectAfterInactivityMs`. */
  silenceMs: number | undefined;
  failure: CaissonError | undefined;
  returned = false;
  /** Whether an item or a ping has come. */
  alive = false;
  #batch: StreamedItem[] = [];
  readonly #parser = createParser({
    maxBufferSize: longestItem,
    onEvent: (frame) => this.#take(frame),
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') {
        this.failure = new CaissonError('INTERNAL', 'The control plane sent an item of more than 64 MiB.', {
          cause: error,
        });
      }
    },
  });

  /** At most one chunk's worth of items; the rest of a cut one waits for the next chunk. */
  read(text: string): StreamedItem[] {
    this.#batch = [];
    this.#parser.feed(text);
    return this.#batch;
  }

  #take(frame: EventSourceMessage): void {
    if (this.failure !== undefined || this.returned) return;
    switch (frame.event) {
      case undefined:
        this.alive = true;
        this.#batch.push({ id: frame.id, json: frame.data });
        return;
      case 'connected':
        this.silenceMs = inactivityOf(frame.data);
        return;
      case 'serialized-error':
        this.failure = errorOfShape(JSON.parse(frame.data));
        return;
      case 'return':
        this.returned = true;
        return;
      case 'ping':
        this.alive = true;
        return;
      default: // `restore-id`, and whatever later versions of tRPC add beside the data
        return;
    }
  }
}

function inactivityOf(json: string): number | undefined {
  const options: unknown = JSON.parse(json);
  if (typeof options !== 'object' || options === null || !('reconnectAfterInactivityMs' in options)) return undefined;
  const { reconnectAfterInactivityMs } = options;
  return typeof reconnectAfterInactivityMs === 'number' ? reconnectAfterInactivityMs : undefined;
}
