import type { Exchange } from '../../../src/controlplane/demo-model/responses-answer.ts';
import type { ModelRequest } from '../../../src/controlplane/demo-model/responses-request.ts';

/** One model request as the double saw it. */
export interface RecordedRequest {
  /** Counts from 1. */
  readonly number: number;
  /** The `authorization` header as it came; null when there was none. */
  readonly authorization: string | null;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly model: string;
  readonly purpose: ModelRequest['purpose'];
  readonly layout: ModelRequest['layout'];
  readonly userText: string;
  readonly transcript: ModelRequest['transcript'];
  readonly results: ModelRequest['results'];
  readonly bodyCharacters: number;
  /** `open` while it is answered, `answered` when the response was sent whole, `aborted` when the connection went first. */
  readonly outcome: 'open' | 'answered' | 'aborted';
}

const MAX_RECORDED = 2_000;

/** Keeps the last 2,000 requests and lets a test wait for one. */
export class Recording {
  readonly #requests: RecordedRequest[] = [];
  readonly #changed = new EventTarget();
  #count = 0;

  get requests(): readonly RecordedRequest[] {
    return this.#requests;
  }

  /** How many requests have come in all. */
  get count(): number {
    return this.#count;
  }

  add({ request, headers, response }: Exchange): RecordedRequest {
    const record = {
      number: ++this.#count,
      authorization: headers.authorization ?? null,
      headers,
      model: request.model,
      purpose: request.purpose,
      layout: request.layout,
      userText: request.userText,
      transcript: request.transcript,
      results: request.results,
      bodyCharacters: request.inputCharacters,
      outcome: 'open' as RecordedRequest['outcome'],
    };
    this.#requests.push(record);
    if (this.#requests.length > MAX_RECORDED) this.#requests.shift();
    response.once('close', () => {
      record.outcome = response.writableFinished ? 'answered' : 'aborted';
      this.#changed.dispatchEvent(new Event('change'));
    });
    this.#changed.dispatchEvent(new Event('change'));
    return record;
  }

  /** The first recorded request for which `matches` is true, now or later; an error after `timeoutMs`. */
  waitFor(matches: (request: RecordedRequest) => boolean, timeoutMs = 30_000): Promise<RecordedRequest> {
    const { promise, resolve, reject } = Promise.withResolvers<RecordedRequest>();
    const look = (): void => {
      const found = this.#requests.find(matches);
      if (found !== undefined) resolve(found);
    };
    const timer = setTimeout(() => {
      reject(new Error(`No such model request within ${timeoutMs} ms; ${this.#count} came.`));
    }, timeoutMs);
    this.#changed.addEventListener('change', look);
    look();
    return promise.finally(() => {
      clearTimeout(timer);
      this.#changed.removeEventListener('change', look);
    });
  }
}
