import type { ClientRequest } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { GatheredBytes } from '../../kernel/gathered-bytes.ts';
import type { ModelApi } from './apis/model-api.ts';
import { GatewayError, type GatewayErrorKind } from './gateway-error.ts';
import type { HeldShare } from './held-room.ts';
import { RequestScanner, type WatchedField } from './request-scanner.ts';

interface GuestBodyOptions {
  readonly stream: ServerHttp2Stream;
  readonly api: ModelApi;
  /** What its headers say; undefined where they say nothing. NaN for no length at all. */
  readonly declaredBytes: number | undefined;
  readonly maxBytes: number;
  /** For what is held before it is passed on. */
  readonly room: HeldShare;
  /** The body is wrong, found out when it was being passed on already. */
  readonly onProblem: (error: GatewayError) => void;
  /** Something of it has come. */
  readonly onProgress: () => void;
}

/** What a call holds up to here belongs to its place, and takes no room: little is not refused for the sake of much. */
export const smallBytes = 64 * 1024;

/** A part of the body that is passed on as something else. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

const watched = ['model', 'stream', 'stream_options', 'background'];

/**
 * The body of a guest's request. It is held until it has named its model, or until it is whole where its length is not declared,
 * and from then on it passes as it comes, at the reader's pace; all of it is looked through, so that it cannot name another model later on. A body with anything wrong is
 * never ended, so that no service takes it for a whole one.
 */
export class GuestBody {
  readonly #options: GuestBodyOptions;
  readonly #scanner = new RequestScanner(watched);
  readonly #named = Promise.withResolvers<string>();
  readonly #held = new GatheredBytes();
  #bytes = 0;
  #request: ClientRequest | undefined;
  #namedAt: number | null = null;
  #isWhole = false;
  #isRefused = false;

  constructor(options: GuestBodyOptions) {
    this.#options = options;
    this.#named.promise.catch(() => undefined); // who asks for it is told
  }

  /** Bytes that have come. */
  get bytes(): number {
    return this.#bytes;
  }

  /** When it could be asked which model it names, as `performance.now()` tells it. Null before. */
  get namedAt(): number | null {
    return this.#namedAt;
  }

  /** Whether the service was sent all of it. */
  get isWhole(): boolean {
    return this.#isWhole && this.#request !== undefined;
  }

  /** Reads until the model is known, then pauses. Rejects with a GatewayError for a body that names none, or is too large. */
  model(): Promise<string> {
    const { stream, declaredBytes, maxBytes } = this.#options;
    if (declaredBytes !== undefined && !(declaredBytes <= maxBytes)) this.#refuseLength(declaredBytes);
    else {
      stream.on('data', (chunk: Buffer) => this.#take(chunk));
      stream.once('end', () => this.#end());
    }
    return this.#named.promise;
  }

  /** The length of what will be passed on; undefined where the guest declared none. */
  sentBytes(model: string): number | undefined {
    return this.#edits(model).reduce<number | undefined>(
      (sum, { start, end, text }) => (sum === undefined ? sum : sum + Buffer.byteLength(text) - (end - start)),
      this.#options.declaredBytes,
    );
  }

  /** Passes the body on under the name by which the service knows the model, and ends the request with it. */
  passTo(request: ClientRequest, model: string): void {
    const held = this.#held.bytes;
    let at = 0;
    for (const { start, end, text } of this.#edits(model)) {
      request.write(held.subarray(at, start));
      request.write(text);
      at = end;
    }
    this.#request = request;
    this.#write(at === 0 ? held : held.subarray(at));
    this.#letGo();
    if (this.#isWhole) request.end();
    else if (request.writableNeedDrain) request.once('drain', () => this.#options.stream.resume());
    else this.#options.stream.resume();
  }

  /** Nothing more of it is wanted. Idempotent. */
  abandon(): void {
    this.#isRefused = true;
    this.#letGo();
  }

  #take(chunk: Buffer): void {
    const { stream, api, declaredBytes, maxBytes, room, onProgress } = this.#options;
    this.#bytes += chunk.length;
    if (this.#isRefused) return;
    onProgress();
    if (this.#bytes > (declaredBytes ?? maxBytes)) return this.#refuseLength(this.#bytes);
    this.#scanner.read(chunk);
    const problem = this.#scanner.problem ?? problemWith(this.#scanner.fields);
    if (problem !== null) return this.#refuse('invalid_body', `The request is refused: ${problem}.`);
    if (this.#request !== undefined) return this.#write(chunk);
    const more = counted(this.#held.length + chunk.length) - counted(this.#held.length);
    if (!room.take(more)) return this.#refuse('too_many_calls', 'Too many large model calls are under way.');
    this.#held.add(chunk);
    const model = this.#scanner.fields.get('model');
    // Its room in the budget goes by its size.
    const waitsForAll = api.readsWholeRequest || declaredBytes === undefined;
    if (model === undefined || (waitsForAll && !this.#scanner.isWhole)) return;
    stream.pause();
    this.#namedAt = performance.now();
    this.#named.resolve(String(model.value));
  }

  #end(): void {
    const { stream, declaredBytes } = this.#options;
    if (this.#isRefused || stream.aborted) return;
    if (declaredBytes !== undefined && this.#bytes !== declaredBytes) return this.#refuseLength(this.#bytes);
    if (!this.#scanner.fields.has('model')) return this.#refuse('invalid_body', 'The request names no model.');
    if (!this.#scanner.isWhole) return this.#refuse('invalid_body', 'The request body is no JSON.');
    this.#isWhole = true;
    this.#request?.end();
  }

  #write(chunk: Buffer): void {
    const { stream } = this.#options;
    if (this.#request === undefined || this.#request.write(chunk)) return;
    stream.pause();
    this.#request.once('drain', () => stream.resume());
  }

  /** In the order of the body. All that is changed is held when this is asked. */
  #edits(model: string): readonly Edit[] {
    const { fields } = this.#scanner;
    const edits: Edit[] = [];
    const named = fields.get('model');
    if (named !== undefined && named.value !== model) edits.push({ ...named, text: JSON.stringify(model) });
    if (this.#options.api.readsWholeRequest && fields.get('stream')?.value === true) {
      edits.push(askingForUsage(fields.get('stream_options'), this.#scanner.start));
    }
    return edits.sort((a, b) => a.start - b.start);
  }

  #refuseLength(bytes: number): void {
    const { maxBytes } = this.#options;
    if (bytes > maxBytes) this.#refuse('request_too_large', `The request body is larger than ${maxBytes} bytes.`);
    else this.#refuse('invalid_body', 'The request body is not as long as it was declared.');
  }

  #refuse(kind: GatewayErrorKind, message: string): void {
    const error = new GatewayError(kind, message);
    this.abandon();
    this.#named.reject(error);
    this.#options.onProblem(error);
  }

  #letGo(): void {
    this.#options.room.giveBack(counted(this.#held.length));
    this.#held.clear();
  }
}

function counted(heldBytes: number): number {
  return Math.max(0, heldBytes - smallBytes);
}

/** Of the body that a guest's headers announce; NaN for one that is no length, undefined where they say nothing. */
export function declaredLength(headers: IncomingHttpHeaders): number | undefined {
  const declared = headers['content-length'];
  if (declared === undefined) return undefined;
  return /^\d{1,15}$/.test(declared) ? Number(declared) : Number.NaN;
}

function problemWith(fields: ReadonlyMap<string, WatchedField>): string | null {
  const model = fields.get('model');
  if (model !== undefined && (typeof model.value !== 'string' || !/^[\x21-\x7e]{1,200}$/.test(model.value))) {
    return 'its model is no name';
  }
  const background = fields.get('background');
  if (background !== undefined && background.value !== false && background.value !== null) {
    return 'a response in the background could not be counted';
  }
  return null;
}

/** A stream of Chat Completions tells its usage only when it is asked for it. */
function askingForUsage(given: WatchedField | undefined, bodyStart: number): Edit {
  if (given === undefined) {
    const at = bodyStart + 1;
    return { start: at, end: at, text: '"stream_options":{"include_usage":true},' };
  }
  const value = typeof given.value === 'object' ? given.value : {};
  return { ...given, text: JSON.stringify({ ...value, include_usage: true }) };
}
