import type { CaissonError } from '../../../src/kernel/errors.ts';
import type {
  AttachRequest,
  Terminal,
  TerminalDownMessage,
  TerminalUpMessage,
} from '../../../src/wire/contract/terminals.ts';
import type { GuestClient } from '../../../src/wire/guest-client.ts';
import { readOffset } from '../../../src/wire/terminal-frames.ts';
import type { TerminalChannel } from '../../../src/wire/terminals-client.ts';
import { until } from '../../until.ts';

type Situation = Extract<TerminalDownMessage, { type: 'situation' }>;

interface ReaderOptions extends Partial<AttachRequest> {
  /** Whether output is acknowledged as it comes. Default: it is. */
  readonly isSlow?: boolean;
}

let readers = 0;

/** A reader of a terminal on the wire, with all that came to it. */
export class TerminalReader {
  readonly channel: TerminalChannel;
  readonly messages: TerminalDownMessage[] = [];
  readonly ended: Promise<CaissonError | undefined>;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #firstOffset: number | undefined;

  private constructor(channel: TerminalChannel, isSlow: boolean) {
    this.channel = channel;
    this.ended = new Promise((resolve) => {
      channel.listen({
        onOutput: (message) => {
          this.#firstOffset ??= readOffset(message);
          this.#chunks.push(message.subarray(8));
          this.#bytes += message.length - 8;
          if (!isSlow) channel.send({ type: 'ack', bytes: this.#bytes });
        },
        onMessage: (message) => this.messages.push(message),
        onEnd: resolve,
      });
    });
  }

  static async attach(guest: GuestClient, { id }: Terminal, options: ReaderOptions = {}): Promise<TerminalReader> {
    const { isSlow = false, ...request } = options;
    const token = `reader-of-a-test-${++readers}`;
    const channel = await guest.terminals.attach(id, { token, name: 'someone', ...request });
    const reader = new TerminalReader(channel, isSlow);
    await until('it is attached', () => reader.situation);
    return reader;
  }

  get output(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.output.toString('latin1');
  }

  get bytes(): number {
    return this.#bytes;
  }

  get firstOffset(): number | undefined {
    return this.#firstOffset;
  }

  get id(): number {
    return this.first('attached').reader;
  }

  get situation(): Situation | undefined {
    return this.messages.findLast((message) => message.type === 'situation');
  }

  get drives(): boolean {
    return this.situation?.driver === this.id;
  }

  first<Type extends TerminalDownMessage['type']>(type: Type): Extract<TerminalDownMessage, { type: Type }> {
    const found = this.messages.find(
      (message): message is Extract<TerminalDownMessage, { type: Type }> => message.type === type,
    );
    if (found === undefined) throw new Error(`no message "${type}" came`);
    return found;
  }

  async shows(text: string): Promise<void> {
    await until(`"${text}" in the terminal`, () => this.text.includes(text));
  }

  type(text: string): void {
    this.channel.sendInput(Buffer.from(text));
  }

  send(message: TerminalUpMessage): void {
    this.channel.send(message);
  }
}
