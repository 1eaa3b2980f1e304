import type { TerminalDownMessage } from '../../controlplane/api/schemas/terminal.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { Backoff, pause } from '../backoff.ts';
import type { Endpoint } from '../endpoint.ts';
import { OutputQueue } from '../output-queue.ts';
import { InputWindow } from './input-window.ts';
import { TerminalConnection } from './terminal-connection.ts';

export interface AttachTerminalOptions {
  readonly agentId: string;
  readonly terminalId: string;
  /** Output after this many bytes. Default: all that is kept of it. */
  readonly after?: number;
  /** `driver` takes the seat from whoever has it, `auto` (the default) where it is free, `observer` not. */
  readonly as?: 'driver' | 'auto' | 'observer';
  /** Detaches. */
  readonly signal?: AbortSignal;
  /** How long a control plane that has gone may stay away, in milliseconds. Default: 5 minutes. */
  readonly reconnectForMs?: number;
  /** Told what is no output, as it happens. */
  readonly onEvent?: (event: TerminalEvent) => void;
}

/** Who is attached, who drives, and how large the terminal is. */
export type TerminalSituation = Omit<Extract<TerminalDownMessage, { type: 'situation' }>, 'type' | 'taken'>;

export type TerminalEvent =
  /** After each connection, also the first; `end` is how much was printed so far: what is replayed ends there. */
  | { readonly type: 'attached'; readonly end: number }
  | (TerminalSituation & { readonly type: 'situation' })
  /** These bytes had left the scrollback. `output` goes on at `to`, after a soft reset of the terminal. */
  | { readonly type: 'lost'; readonly from: number; readonly to: number }
  /** It is tried again. */
  | { readonly type: 'disconnected'; readonly error: CaissonError };

/** How the program ended. */
export interface TerminalExit {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** One reader of a terminal, over broken connections and restarts of the control plane. */
export interface TerminalAttachment extends AsyncDisposable {
  /**
   * What the terminal prints, as bytes: each once and in order, scrollback first. It must be read, or cancelled, which
   * detaches: at most 256 KiB are sent ahead. Ends when the program has ended or this is detached, fails as `closed` does.
   */
  readonly output: ReadableStream<Uint8Array>;
  /** Of the next byte that `output` gives: where another attachment can go on. */
  readonly offset: number;
  /** As it was last told. */
  readonly situation: TerminalSituation;
  /** Whether this reader types and resizes. */
  readonly isDriver: boolean;
  /**
   * Resolves when it was sent; waits while the program takes no input, or no connection is open. Rejects with
   * TERMINAL_NOT_DRIVING from an observer, also from one that became so while this waited. What was on its way when a connection
   * broke may be lost; nothing is typed twice.
   */
  write(data: Uint8Array | string): Promise<void>;
  /** Counts as long as this reader drives, and again when it does again. */
  resize(size: { readonly cols: number; readonly rows: number }): void;
  /**
   * Takes the driver's seat. Resolves when this reader has it, while no connection is open when there is one again. Rejects with
   * TERMINAL_NOT_DRIVING where it was lost again at once: of two who take it together, the later one has it.
   */
  takeControl(): Promise<void>;
  /** Leaves the seat, free or to another reader. */
  giveControl(to?: number): void;
  /** Leaves; the terminal goes on. Idempotent. */
  detach(): Promise<void>;
  /**
   * Settles when it is over: with the exit of the program, null after `detach`; rejects with TERMINAL_NOT_FOUND when the
   * terminal has gone with its sandbox, or with what else makes it pointless to try again.
   */
  readonly closed: Promise<TerminalExit | null>;
}

/** Ends a sequence that was cut, then a soft reset, plain text, and the usual characters. The screen stays. */
const softReset = new TextEncoder().encode('\u0018\u001B[!p\u001B[0m\u001B(B\u000F');

/** Used output is acknowledged when it is so much. The window is 256 KiB. */
const acknowledgeBytes = 32 * 1024;

interface Dependencies {
  readonly endpoint: Endpoint;
  /** Rejects with why the terminal cannot be had: a browser does not tell why a WebSocket was refused. */
  readonly check: () => Promise<unknown>;
}

/** Modes: connecting ⇄ attached, then over. */
export class Attachment implements TerminalAttachment {
  readonly closed: Promise<TerminalExit | null>;
  readonly #options: AttachTerminalOptions;
  readonly #dependencies: Dependencies;
  readonly #over = Promise.withResolvers<TerminalExit | null>();
  readonly #leave = new AbortController();
  readonly #queue = new OutputQueue(() => this.#cancel());
  readonly #input = new InputWindow();
  readonly #token = randomToken();
  readonly #encoder = new TextEncoder();
  #connection: TerminalConnection | undefined;
  #situation: TerminalSituation = { cols: 80, rows: 24, readers: [], driver: null };
  #reader: number | undefined;
  #wish: 'driver' | 'auto' | 'observer';
  #isDriving = false;
  /** Whether the present connection has told who drives. */
  #isSettled = false;
  #isOver = false;
  /** Whether `output` is wanted no more: what still waited counts as not given. */
  #isCancelled = false;
  #size: { readonly cols: number; readonly rows: number } | undefined;
  /** Who waits for the seat. */
  #takers: PromiseWithResolvers<void>[] = [];
  /** How often the seat was taken over the present connection; undefined while it can carry nothing. */
  #takes: number | undefined;
  /** Of the next byte from the network; undefined before the first connection. */
  #received: number | undefined;
  #offset = 0;
  #used = 0;
  #acknowledged = 0;
  #exit: TerminalExit | undefined;

  constructor(options: AttachTerminalOptions, dependencies: Dependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#received = options.after;
    this.#offset = options.after ?? 0;
    this.#wish = options.as ?? 'auto';
    this.closed = this.#over.promise;
    this.closed.catch(() => undefined); // `output` tells it as well
  }

  get output(): ReadableStream<Uint8Array> {
    return this.#queue.stream;
  }

  get offset(): number {
    return this.#offset;
  }

  get situation(): TerminalSituation {
    return this.#situation;
  }

  get isDriver(): boolean {
    return this.#isDriving;
  }

  /** Resolves when it is attached for the first time, and goes on by itself. Rejects as `closed` does. */
  async start(): Promise<void> {
    const attached = Promise.withResolvers<void>();
    const { signal } = this.#options;
    const leave = (): void => void this.detach();
    signal?.addEventListener('abort', leave, { once: true });
    if (signal?.aborted === true) leave();
    void this.#run(attached.resolve).then(
      (exit) => {
        this.#over.resolve(exit);
        this.#queue.end();
        attached.reject(new CaissonError('ABORTED', 'The attachment was given up.'));
      },
      (thrown: unknown) => {
        this.#over.reject(thrown);
        this.#queue.end(thrown);
        attached.reject(thrown);
      },
    );
    void this.closed
      .catch(() => undefined)
      .then(() => {
        signal?.removeEventListener('abort', leave);
        this.#isOver = true;
        this.#input.fail(attachmentOver());
        for (const { reject } of this.#takers.splice(0)) reject(attachmentOver());
      });
    await attached.promise;
  }

  async write(data: Uint8Array | string): Promise<void> {
    if (this.#isOver) throw attachmentOver();
    if (this.#isSettled && !this.#isDriving) {
      throw new CaissonError('TERMINAL_NOT_DRIVING', 'Somebody else drives the terminal; this is an observer.');
    }
    await this.#input.write(typeof data === 'string' ? this.#encoder.encode(data) : data);
  }

  resize({ cols, rows }: { readonly cols: number; readonly rows: number }): void {
    this.#size = { cols, rows };
    if (this.#isDriving) this.#connection?.send({ type: 'resize', cols, rows });
  }

  async takeControl(): Promise<void> {
    if (this.#isDriving) return;
    if (this.#isOver) throw attachmentOver();
    const taker = Promise.withResolvers<void>();
    this.#takers.push(taker);
    this.#wish = 'driver';
    this.#sendTake();
    await taker.promise;
  }

  giveControl(to?: number): void {
    this.#wish = 'observer';
    this.#connection?.send({ type: 'give', ...(to === undefined ? {} : { to }) });
  }

  async detach(): Promise<void> {
    this.#leave.abort();
    this.#connection?.close();
    await this.closed.catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.detach();
  }

  /** Where no connection is open, the next one does it. */
  #sendTake(): void {
    if (this.#takes === undefined) return;
    this.#takes++;
    this.#connection?.send({ type: 'take' });
  }

  #cancel(): void {
    this.#isCancelled = true;
    void this.detach();
  }

  /** One connection after the other. */
  async #run(onAttached: () => void): Promise<TerminalExit | null> {
    const { reconnectForMs = 300_000, onEvent } = this.#options;
    const { signal } = this.#leave;
    const backoff = new Backoff();
    let awaySince = performance.now();
    let hasAttached = false;
    while (!signal.aborted) {
      let wasAttached = false;
      const attached = (): void => {
        wasAttached = true;
        hasAttached = true;
        backoff.reset();
        onAttached();
      };
      const { error, isExplained } = await this.#connectOnce(attached);
      let broken = error;
      if (wasAttached) awaySince = performance.now();
      if (signal.aborted) break;
      if (broken === undefined) return this.#exit ?? { exitCode: null, signal: null };
      if (!isExplained && (broken.code === 'CONTROL_PLANE_UNREACHABLE' || broken.code === 'UNAUTHORIZED')) {
        broken = (await this.#reason()) ?? broken;
      }
      if (hasAttached && broken.code === 'SANDBOX_NOT_RUNNING') throw goneWithSandbox(broken);
      if (!broken.retryable || !hasAttached) throw broken; // the answer to the very first attempt is final
      const delayMs = backoff.nextDelayMs();
      if (performance.now() + delayMs - awaySince > reconnectForMs) throw broken;
      if (hasAttached) onEvent?.({ type: 'disconnected', error: broken });
      await pause(delayMs, signal);
    }
    return null;
  }

  /** Why no connection could be had, as far as a call can tell. */
  async #reason(): Promise<CaissonError | undefined> {
    try {
      await this.#dependencies.check();
      return undefined;
    } catch (thrown) {
      return thrown instanceof CaissonError ? thrown : undefined;
    }
  }

  /** Resolves when the connection is over; without an error when the program is. */
  #connectOnce(onAttached: () => void): Promise<{ error: CaissonError | undefined; isExplained: boolean }> {
    return new Promise((resolve) => {
      this.#used = 0;
      this.#acknowledged = 0;
      const connection = new TerminalConnection(this.#dependencies.endpoint, this.#path(), {
        onOutput: (offset, bytes) => this.#take(connection, offset, bytes),
        onMessage: (message) => {
          this.#hear(connection, message);
          if (message.type !== 'situation' || this.#isSettled) return;
          this.#isSettled = true;
          onAttached();
        },
        onClose: (error, isExplained) => {
          this.#connection = undefined;
          this.#isDriving = false;
          this.#isSettled = false;
          this.#takes = undefined;
          this.#input.disconnect();
          resolve({ error, isExplained });
        },
      });
      this.#connection = connection;
    });
  }

  #path(): string {
    const { agentId, terminalId } = this.#options;
    const query = new URLSearchParams({ token: this.#token, as: this.#wish });
    if (this.#received !== undefined) query.set('after', String(this.#received));
    return `/v1/agents/${encodeURIComponent(agentId)}/terminals/${encodeURIComponent(terminalId)}?${query.toString()}`;
  }

  #take(connection: TerminalConnection, offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    this.#received = end;
    this.#queue.push(bytes, () => {
      if (this.#isCancelled) return;
      this.#offset = end;
      if (connection !== this.#connection) return; // its window went with it
      this.#used += bytes.length;
      if (this.#used - this.#acknowledged < acknowledgeBytes) return;
      this.#acknowledged = this.#used;
      connection.send({ type: 'ack', bytes: this.#used });
    });
  }

  #hear(connection: TerminalConnection, message: TerminalDownMessage): void {
    const { onEvent } = this.#options;
    switch (message.type) {
      case 'attached':
        this.#reader = message.reader;
        this.#received = message.from;
        this.#takes = 0;
        if (this.#takers.length > 0) this.#sendTake();
        onEvent?.({ type: 'attached', end: message.end });
        return;
      case 'alive':
        return;
      case 'situation':
        return this.#seat(connection, message);
      case 'lost': {
        const { from, to } = message;
        this.#received = to;
        this.#queue.push(softReset, () => {
          if (!this.#isCancelled) this.#offset = to;
        });
        onEvent?.({ type: 'lost', from, to });
        return;
      }
      case 'accepted':
        return this.#input.accepted(message.bytes);
      case 'exited':
        this.#exit = { exitCode: message.exitCode, signal: message.signal };
        return;
      case 'ended':
        return; // told by the end of the connection
    }
  }

  #seat(connection: TerminalConnection, message: Extract<TerminalDownMessage, { type: 'situation' }>): void {
    const { type, taken, ...situation } = message;
    this.#situation = situation;
    const wasDriving = this.#isDriving;
    this.#isDriving = situation.driver === this.#reader;
    if (this.#isDriving && !wasDriving) {
      // After a broken connection the seat is asked for only where it is free, or still its own.
      this.#wish = 'auto';
      if (this.#size !== undefined) connection.send({ type: 'resize', ...this.#size });
      this.#input.connect((bytes) => connection.sendInput(bytes));
      for (const { resolve } of this.#takers.splice(0)) resolve();
    } else if (!this.#isDriving) {
      const isLost = this.#takers.length > 0 && taken === this.#takes;
      if (isLost) {
        const lost = new CaissonError(
          'TERMINAL_NOT_DRIVING',
          'Control was lost again at once: somebody else took it too.',
        );
        for (const { reject } of this.#takers.splice(0)) reject(lost);
      }
      if (this.#takers.length === 0) {
        // Else it would take the seat with its next connection.
        if (wasDriving || isLost || situation.driver !== null) this.#wish = 'observer';
        // Also what was written while no connection was open: it must not be typed when this reader drives once more.
        this.#input.fail(new CaissonError('TERMINAL_NOT_DRIVING', 'Somebody else has taken control of the terminal.'));
      }
    }
    this.#options.onEvent?.({ type, ...situation });
  }
}

function attachmentOver(): CaissonError {
  return new CaissonError('TERMINAL_NOT_FOUND', 'This attachment to the terminal is over.');
}

function goneWithSandbox(cause: CaissonError): CaissonError {
  return new CaissonError('TERMINAL_NOT_FOUND', 'The sandbox has stopped, and its terminals with it.', { cause });
}

function randomToken(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
