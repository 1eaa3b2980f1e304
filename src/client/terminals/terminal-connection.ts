import type { TerminalDownMessage, TerminalUpMessage } from '../../controlplane/api/schemas/terminal.ts';
import { type CaissonError, readErrorBody } from '../../kernel/errors.ts';
import { type Endpoint, socketClosed, unreachable } from '../endpoint.ts';

/** Of the offset in front of output. */
const offsetBytes = 8;

export interface TerminalConnectionHandlers {
  readonly onOutput: (offset: number, bytes: Uint8Array) => void;
  readonly onMessage: (message: TerminalDownMessage) => void;
  /** Called once: with what ended it, or undefined when the program has and all output came. */
  readonly onClose: (error: CaissonError | undefined) => void;
}

/** One WebSocket to a terminal. What is sent when it is not open is dropped. */
export class TerminalConnection {
  readonly #socket: WebSocket;
  #ending: CaissonError | 'exited' | undefined;

  constructor(endpoint: Endpoint, path: string, handlers: TerminalConnectionHandlers) {
    const socket = endpoint.openWebSocket(path);
    socket.binaryType = 'arraybuffer';
    socket.addEventListener('message', (event) => {
      const data: unknown = event.data;
      if (data instanceof ArrayBuffer) {
        const offset = new DataView(data).getBigUint64(0);
        return handlers.onOutput(Number(offset), new Uint8Array(data, offsetBytes));
      }
      // What the control plane sends is its promise, as with every answer in tRPC.
      const message = JSON.parse(String(data)) as TerminalDownMessage;
      if (message.type === 'exited') this.#ending = 'exited';
      if (message.type === 'ended') this.#ending = readErrorBody(message.error);
      else handlers.onMessage(message);
    });
    socket.addEventListener('close', ({ code, reason }) => {
      if (this.#ending === 'exited') return handlers.onClose(undefined);
      const broken = unreachable(endpoint.url, `the connection to the terminal was closed (${code})`);
      handlers.onClose(this.#ending ?? socketClosed(code, reason) ?? broken);
    });
    this.#socket = socket;
  }

  sendInput(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(bytes);
  }

  send(message: TerminalUpMessage): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  close(): void {
    this.#socket.close();
  }
}
