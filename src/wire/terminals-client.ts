import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { CaissonError, readErrorBody } from '../kernel/errors.ts';
import type { TerminalId } from '../kernel/ids.ts';
import {
  type AttachRequest,
  type OpenTerminal,
  type Terminal,
  type TerminalDownMessage,
  terminalDownMessageSchema,
  terminalListSchema,
  terminalPaths,
  terminalSchema,
  type TerminalSize,
  type TerminalUpMessage,
} from './contract/terminals.ts';
import {
  brokenStream,
  type JsonRequest,
  leaveStream,
  openStream,
  refusalOf,
  requestJson,
  responseStatus,
} from './requests.ts';
import { bytesFrame, controlFrame, offsetBytes, readOffset, TerminalFrameReader } from './terminal-frames.ts';

/** 32 terminals with long commands. */
const maxListBytes = 2 * 1024 * 1024;

/** What comes down an attachment. The handlers must not throw. */
interface TerminalHandlers {
  /** As it goes on to a WebSocket: 8 bytes offset, then the output. Offsets have no gap but the ones that `lost` told. */
  readonly onOutput: (message: Buffer) => void;
  readonly onMessage: (message: TerminalDownMessage) => void;
  /** Called once: undefined after `exited`. */
  readonly onEnd: (error: CaissonError | undefined) => void;
}

/** One reader of a terminal of the guest. */
export interface TerminalChannel {
  /** Called once; nothing is read before. */
  listen(handlers: TerminalHandlers): void;
  pause(): void;
  resume(): void;
  /** False while what was sent is piling up; `onDrain` tells when it no longer does. */
  sendInput(input: Uint8Array): boolean;
  send(message: TerminalUpMessage): boolean;
  onDrain(callback: () => void): void;
  close(): void;
}

/** The guest's terminals (`contract/terminals.ts`). Rejects as `GuestClient` does. */
export class TerminalsClient {
  readonly #session: ClientHttp2Session;

  constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  open(request: OpenTerminal, signal?: AbortSignal): Promise<Terminal> {
    return this.#ask({ method: 'POST', path: terminalPaths.terminals, body: request, signal });
  }

  async list(signal?: AbortSignal): Promise<readonly Terminal[]> {
    const { terminals } = await requestJson(this.#session, {
      method: 'GET',
      path: terminalPaths.terminals,
      answer: terminalListSchema,
      maxAnswerBytes: maxListBytes,
      signal,
    });
    return terminals;
  }

  get(id: TerminalId, signal?: AbortSignal): Promise<Terminal> {
    return this.#ask({ method: 'GET', path: terminalPaths.terminal(id), signal });
  }

  resize(id: TerminalId, size: TerminalSize, signal?: AbortSignal): Promise<Terminal> {
    return this.#ask({ method: 'PUT', path: terminalPaths.size(id), body: size, signal });
  }

  close(id: TerminalId, signal?: AbortSignal): Promise<Terminal> {
    return this.#ask({ method: 'DELETE', path: terminalPaths.terminal(id), signal });
  }

  /** Resolves when the guest has the reader. `signal` ends the attachment. */
  async attach(id: TerminalId, request: AttachRequest, signal?: AbortSignal): Promise<TerminalChannel> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(request)) if (value !== undefined) query.set(name, String(value));
    const stream = openStream(this.#session, {
      headers: { ':method': 'POST', ':path': `${terminalPaths.attach(id)}?${query.toString()}` },
      use: 'wait',
      signal,
      endStream: false,
    });
    const status = await responseStatus(stream, signal);
    if (status === 200) return channel(stream, signal);
    stream.end();
    throw await refusalOf(stream, status, signal);
  }

  #ask(request: Omit<JsonRequest<Terminal>, 'answer'>): Promise<Terminal> {
    return requestJson(this.#session, { ...request, answer: terminalSchema, maxAnswerBytes: maxListBytes });
  }
}

function channel(stream: ClientHttp2Stream, signal: AbortSignal | undefined): TerminalChannel {
  const write = (frame: Buffer): boolean => stream.destroyed || stream.writableEnded || stream.write(frame);
  return {
    listen: (handlers) => listen(stream, signal, handlers),
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    sendInput: (input) => write(bytesFrame(input)),
    send: (message) => write(controlFrame(message)),
    onDrain: (callback) => void stream.on('drain', callback),
    close: () => leaveStream(stream),
  };
}

function listen(stream: ClientHttp2Stream, signal: AbortSignal | undefined, handlers: TerminalHandlers): void {
  const frames = new TerminalFrameReader('GUEST_PROTOCOL');
  const order = new OutputOrder();
  let farewell: CaissonError | 'exited' | undefined;
  const take = (chunk: Buffer): void => {
    for (const { kind, payload } of frames.read(chunk)) {
      if (kind === 'bytes') {
        order.output(payload);
        handlers.onOutput(payload);
        continue;
      }
      const message = readMessage(payload);
      order.message(message);
      if (message.type === 'exited') farewell = 'exited';
      if (message.type === 'ended') farewell = readErrorBody(message.error) ?? protocol('It ended without a reason.');
      else handlers.onMessage(message);
    }
  };
  stream.on('data', (chunk: Buffer) => {
    if (stream.destroyed) return;
    try {
      take(chunk);
    } catch (thrown) {
      farewell = thrown instanceof CaissonError ? thrown : protocol('It cannot be read.');
      leaveStream(stream);
    }
  });
  stream.once('end', () => stream.end());
  stream.once('close', () => {
    if (farewell === 'exited') return handlers.onEnd(undefined);
    const broken = farewell ?? brokenStream(stream, signal);
    handlers.onEnd(
      broken instanceof CaissonError ? broken : new CaissonError('WIRE_LOST', 'The attachment broke off.'),
    );
  });
}

/** Holds a guest to the order of an attachment. */
class OutputOrder {
  #next: number | undefined;

  message(message: TerminalDownMessage): void {
    if (message.type === 'attached') {
      if (this.#next !== undefined) throw protocol('It began twice.');
      this.#next = message.from;
    } else if (this.#next === undefined && message.type !== 'ended') throw protocol('It did not begin.');
    if (message.type !== 'lost') return;
    if (message.from !== this.#next || message.to <= message.from)
      throw protocol('What it lost is not what came next.');
    this.#next = message.to;
  }

  output(payload: Buffer): void {
    if (payload.length <= offsetBytes || readOffset(payload) !== this.#next) throw protocol('Its output has a gap.');
    this.#next += payload.length - offsetBytes;
  }
}

function readMessage(payload: Buffer): TerminalDownMessage {
  try {
    return terminalDownMessageSchema.parse(JSON.parse(payload.toString()));
  } catch (cause) {
    throw protocol('It holds what is no message.', cause);
  }
}

function protocol(what: string, cause?: unknown): CaissonError {
  return new CaissonError('GUEST_PROTOCOL', `The attachment to the terminal is not valid. ${what}`, { cause });
}
