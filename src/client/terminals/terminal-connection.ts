import type { TerminalDownMessage, TerminalUpMessage } from '../../controlplane/api/schemas/terminal.ts';
import { type CaissonError, readErrorBody } from '../../kernel/errors.ts';
import { type Endpoint, socketClosed, unreachable } from '../endpoint.ts';
import { LiveSocket } from '../live-socket.ts';

/** Of the offset in front of output. */
const offsetBytes = 8;

export interface TerminalConnectionHandlers {
  readonly onOutput: (offset: number, bytes: Uint8Array) => void;
  readonly onMessage: (message: TerminalDownMessage) => void;
  /**
   * Called once: with what ended it, or undefined when the program has and all output came. `isExplained`: nobody needs to be
   * asked why.
   */
  readonly onClose: (error: CaissonError | undefined, isExplained: boolean) => void;
}

/** One WebSocket to a terminal. What is sent when it is not open is dropped. */
export class TerminalConnection {
  readonly #socket: LiveSocket;
  #ending: CaissonError | 'exited' | undefined;

  constructor(endpoint: Endpoint, path: string, handlers: TerminalConnectionHandlers) {
    this.#socket = new LiveSocket(endpoint, {
      path,
      onBytes: (data) => {
        const offset = new DataView(data).getBigUint64(0);
        handlers.onOutput(Number(offset), new Uint8Array(data, offsetBytes));
      },
      onText: (text) => {
        // What the control plane sends is its promise, as with every answer in tRPC.
        const message = JSON.parse(text) as TerminalDownMessage;
        if (message.type === 'exited') this.#ending = 'exited';
        if (message.type === 'ended') this.#ending = readErrorBody(message.error);
        else handlers.onMessage(message);
      },
      onEnd: ({ code, reason, silence }) => {
        if (this.#ending === 'exited') return handlers.onClose(undefined, true);
        const told = this.#ending ?? silence ?? socketClosed(code, reason);
        const broken = unreachable(endpoint.url, `the connection to the terminal was closed (${code})`);
        handlers.onClose(told ?? broken, told !== undefined);
      },
    });
  }

  sendInput(bytes: Uint8Array<ArrayBuffer>): void {
    this.#socket.send(bytes);
  }

  send(message: TerminalUpMessage): void {
    this.#socket.send(JSON.stringify(message));
  }

  close(): void {
    this.#socket.close();
  }
}
