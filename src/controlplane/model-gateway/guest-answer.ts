import type { OutgoingHttpHeaders } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { CallOutcome } from './call-record.ts';
import type { CallTimer } from './call-timer.ts';
import { SecretMask } from './secret-mask.ts';
import { hundredths } from './since.ts';

/** How often it is looked whether a guest that has been sent all has left. Milliseconds. */
const lookEveryMs = 250;

interface GuestAnswerOptions {
  readonly stream: ServerHttp2Stream;
  /** Of the call, as `performance.now()` tells it. */
  readonly startedAt: number;
  readonly timer: CallTimer;
  /** How long the guest may take nothing of it. Milliseconds. */
  readonly idleTimeoutMs: number;
  /** The guest has all that it is going to be sent, or takes no more. */
  readonly onEnd: (outcome: CallOutcome) => void;
}

/** What the guest is given of an answer. The key of the service never is. */
export class GuestAnswer {
  readonly #options: GuestAnswerOptions;
  #mask = new SecretMask(null);
  #ending: CallOutcome | undefined;
  #status: number | null = null;
  #begunAt: number | null = null;
  #saidBytes = 0;
  #isOver = false;

  constructor(options: GuestAnswerOptions) {
    this.#options = options;
  }

  /** How the call ends once the guest has all; undefined while there is more. */
  get ending(): CallOutcome | undefined {
    return this.#ending;
  }

  /** Null before the answer has begun. */
  get status(): number | null {
    return this.#status;
  }

  /** When the answer began, as `performance.now()` tells it. Null before. */
  get begunAt(): number | null {
    return this.#begunAt;
  }

  /** From the request until then. */
  get firstByteMs(): number | null {
    return this.#begunAt === null ? null : hundredths(this.#begunAt - this.#options.startedAt);
  }

  /** Of what services said, so far as it was passed on. */
  get saidBytes(): number {
    return this.#saidBytes;
  }

  /** Whether the guest can be given anything. */
  get isOpen(): boolean {
    return !this.#isOver && !this.#options.stream.destroyed;
  }

  /** Whether the guest is given no more than it was: all was said, or the call is over. */
  get isEnding(): boolean {
    return this.#isOver || this.#ending !== undefined;
  }

  /** Whether the call is over. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The call is over. */
  abandon(): void {
    this.#isOver = true;
  }

  /** To be called before anything of a service is said. Null conceals nothing. */
  conceal(apiKey: string | null): void {
    this.#mask = new SecretMask(apiKey);
  }

  /** Throws where HTTP/2 does not allow the headers. */
  begin(status: number, headers: OutgoingHttpHeaders): void {
    this.#options.stream.respond({ ...headers, ':status': status });
    this.#status = status;
    this.#begunAt = performance.now();
  }

  /** Whether the guest takes more; `onTaken` is told when it does again. */
  say(chunk: Buffer): boolean {
    const { stream } = this.#options;
    this.#saidBytes += chunk.length;
    joinWrites(stream);
    return stream.write(this.#mask.pass(chunk));
  }

  onTaken(tell: () => void): void {
    this.#options.stream.once('drain', tell);
  }

  /** Ends the answer, `more` being the gateway's own words. */
  end(outcome: CallOutcome, more = ''): void {
    const { stream, idleTimeoutMs, onEnd } = this.#options;
    this.#ending = outcome;
    const rest = this.#mask.rest();
    if (rest.length === 0 && more === '') stream.end();
    else stream.end(Buffer.concat([rest, Buffer.from(more)]));
    this.#awaitTaken(outcome, idleTimeoutMs);
    stream.once('finish', () => onEnd(outcome));
  }

  /**
   * Resets the stream once the guest has been sent what the service said before, for which it has `idleTimeoutMs`; one that
   * has stalled has had them. `close` would not do: it ends the answer properly first, and half an answer would pass for a
   * whole one.
   */
  cutShort(outcome: CallOutcome): void {
    const { stream, idleTimeoutMs } = this.#options;
    const reset = (): void => void stream.destroy(new Error('The model service broke off.'));
    if (outcome === 'guest_stalled' || stream.destroyed || stream.writableLength === 0) return reset();
    stream.write('', reset);
    const late = setTimeout(reset, idleTimeoutMs).unref();
    stream.once('close', () => clearTimeout(late));
  }

  /**
   * Node tells nothing of a stream that the guest closes while its last bytes leave, as one does that knows their number:
   * neither 'finish' nor 'close'. So it is looked at.
   */
  #awaitTaken(outcome: CallOutcome, leftMs: number): void {
    const { stream, timer, onEnd } = this.#options;
    const stepMs = Math.min(leftMs, lookEveryMs);
    timer.arm(stepMs, () => {
      if (stream.closed && (stream.rstCode ?? 0) === 0) {
        onEnd(outcome);
        stream.destroy();
      } else if (leftMs <= stepMs) onEnd('guest_stalled');
      else this.#awaitTaken(outcome, leftMs - stepMs);
    });
  }
}

/** What is written until the end of this tick leaves as one frame: a service sends a few hundred bytes at a time. */
function joinWrites(stream: ServerHttp2Stream): void {
  if (stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(uncork, stream);
}

function uncork(stream: ServerHttp2Stream): void {
  stream.uncork();
}
