import type { CaissonError } from '../kernel/errors.ts';
import { socketOpenMs } from './call-limits.ts';
import type { Endpoint } from './endpoint.ts';
import { SilenceWatch } from './silence-watch.ts';

/** The control plane sends `alive` every 20 s. */
const silenceMs = 45_000;

export interface SocketEnd {
  readonly code: number;
  readonly reason: string;
  /** Whether it had been open. */
  readonly wasOpen: boolean;
  /** Set where nothing came any more: then it is this side that ends it. */
  readonly silence?: CaissonError;
}

interface LiveSocketOptions {
  readonly path: string;
  readonly onOpen?: () => void;
  readonly onText: (text: string) => void;
  readonly onBytes: (bytes: ArrayBuffer) => void;
  /** Called once, and nothing after it. */
  readonly onEnd: (end: SocketEnd) => void;
}

/**
 * A WebSocket of the control plane that ends when it does not open within 165 s, or nothing is heard for 45 s from then on.
 * Platforms tell of a closed connection, not of one that was silently cut or whose other end stands still; and such a one is
 * never done with closing either, so its end is not waited for.
 */
export class LiveSocket {
  readonly #socket: WebSocket;
  readonly #onEnd: LiveSocketOptions['onEnd'];
  readonly #watch: SilenceWatch;
  #wasOpen = false;
  #isOver = false;

  constructor(endpoint: Endpoint, { path, ...handlers }: LiveSocketOptions) {
    const socket = endpoint.openWebSocket(path);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    this.#onEnd = handlers.onEnd;
    this.#watch = new SilenceWatch(endpoint.url, socketOpenMs, (silence) => {
      this.#end({ code: 1006, reason: '', silence });
      socket.close();
    });
    this.#watch.start();
    socket.addEventListener('open', () => {
      if (this.#isOver) return;
      this.#wasOpen = true;
      this.#watch.limitMs = silenceMs;
      this.#watch.start();
      handlers.onOpen?.();
    });
    socket.addEventListener('message', ({ data }: { readonly data: unknown }) => {
      if (this.#isOver) return;
      this.#watch.start();
      if (typeof data === 'string') handlers.onText(data);
      else if (data instanceof ArrayBuffer) handlers.onBytes(data);
    });
    socket.addEventListener('close', ({ code, reason }) => this.#end({ code, reason }));
  }

  /** What is sent when it is not open is dropped. */
  send(message: string | Uint8Array<ArrayBuffer>): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  /** Over at once for this side. Idempotent. */
  close(): void {
    this.#socket.close();
    this.#end({ code: 1000, reason: '' });
  }

  #end(end: Omit<SocketEnd, 'wasOpen'>): void {
    this.#watch.stop();
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onEnd({ ...end, wasOpen: this.#wasOpen });
  }
}
