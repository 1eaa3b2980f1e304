import { constants } from 'node:os';
import type { CaissonClient, TerminalAttachment, TerminalEvent, TerminalExit } from '../../client/index.ts';
import { oneLine } from '../output/printable.ts';
import { DetachKeys, type KeySequence } from './detach-keys.ts';
import { LocalTerminal } from './local-terminal.ts';
import { TypedKeys } from './typed-keys.ts';

export interface PlayOptions {
  readonly agentId: string;
  readonly terminalId: string;
  readonly as: 'driver' | 'auto' | 'observer';
  readonly detachKeys: KeySequence;
}

/** What ends the process from outside, and the code that a shell reports then. */
const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const interruptKey = 0x03;

/** A terminal's answer to a question that is replayed to it must not be typed into the program of now. */
// oxlint-disable-next-line no-control-regex -- these answers are control characters
const report = /^\u001B(?:\[[?>]?[\d;]*[cnRy]|\][\d;]+[^\u0007\u001B]*(?:\u0007|\u001B\\)?|P[^\u001B]*\u001B\\)/;

/** Joins this terminal with one of an agent. Resolves when the program has ended, or with null when it was left. */
export async function playTerminal(client: CaissonClient, options: PlayOptions): Promise<TerminalExit | null> {
  using local = new LocalTerminal();
  const watch = new Watch(local, options);
  const { agentId, terminalId, as } = options;
  const onEvent = (event: TerminalEvent): void => watch.hear(event);
  const attachment = await client.terminals.attach({ agentId, terminalId, as, onEvent });
  const end = (signal: NodeJS.Signals): void => process.exit(128 + constants.signals[signal]); // the screen is put back
  for (const signal of endings) process.once(signal, end);
  try {
    watch.begin(attachment);
    for await (const bytes of attachment.output) {
      await local.write(bytes);
      watch.replayed(attachment.offset);
    }
    return await attachment.closed;
  } finally {
    for (const signal of endings) process.off(signal, end);
    watch.stop();
    await attachment.detach();
  }
}

/** The person here: keys and size go in, and what changes is told. */
class Watch {
  readonly #local: LocalTerminal;
  readonly #options: PlayOptions;
  readonly #keys: DetachKeys;
  readonly #typed: TypedKeys;
  #attachment: TerminalAttachment | undefined;
  #replayEnd = 0;
  #isReplaying = true;
  #driver: string | undefined;
  #isAway = false;

  constructor(local: LocalTerminal, options: PlayOptions) {
    this.#local = local;
    this.#options = options;
    this.#keys = new DetachKeys(options.detachKeys);
    this.#typed = new TypedKeys(() => local.bell());
  }

  begin(attachment: TerminalAttachment): void {
    this.#attachment = attachment;
    const { size } = this.#local;
    if (size !== undefined) attachment.resize(size);
    this.#local.onResize(this.#onResize);
    process.stdin.on('data', this.#onTyped);
    this.#tellDriver(attachment);
    this.replayed(attachment.offset);
  }

  replayed(offset: number): void {
    if (offset >= this.#replayEnd) this.#isReplaying = false;
  }

  hear(event: TerminalEvent): void {
    switch (event.type) {
      case 'attached':
        if (this.#isAway) this.#local.note('Connected again.');
        else this.#replayEnd = event.end;
        this.#isAway = false;
        return;
      case 'disconnected':
        if (!this.#isAway) this.#local.note(`${event.error.message} Trying again …`);
        this.#isAway = true;
        return;
      case 'lost':
        if (event.from > 0) this.#local.note(`${event.to - event.from} bytes of output were not kept.`);
        return;
      case 'situation':
        if (this.#attachment !== undefined) this.#tellDriver(this.#attachment);
    }
  }

  stop(): void {
    process.stdout.off('resize', this.#onResize);
    process.stdin.off('data', this.#onTyped);
  }

  /** Said when it is somebody else, or no longer. */
  #tellDriver({ isDriver, situation: { readers, driver } }: TerminalAttachment): void {
    const name = isDriver ? '' : (readers.find(({ id }) => id === driver)?.name ?? 'Nobody');
    if (name === this.#driver) return;
    const isFirst = this.#driver === undefined;
    this.#driver = name;
    if (isDriver) {
      if (!isFirst) this.#local.note('You drive.');
      return;
    }
    const { names } = this.#options.detachKeys;
    const take = process.stdin.isTTY && names.length > 1 ? ` ${names[0]} Ctrl-T takes control.` : '';
    this.#local.note(`${oneLine(name)} drives; you watch.${take}`);
  }

  readonly #onResize = (): void => {
    const { size } = this.#local;
    if (size !== undefined) this.#attachment?.resize(size);
  };

  readonly #onTyped = (typed: Buffer): void => {
    const attachment = this.#attachment;
    if (attachment === undefined || (this.#isReplaying && report.test(typed.toString('latin1')))) return;
    if (this.#options.as === 'observer' && !attachment.isDriver && typed.includes(interruptKey)) {
      void attachment.detach(); // who only watches leaves with Ctrl-C too
      return;
    }
    const { bytes, command } = this.#keys.read(typed);
    if (bytes.length > 0) void this.#typed.type(attachment, bytes);
    if (command === 'detach') void attachment.detach();
    if (command === 'take') void attachment.takeControl().catch(() => undefined); // its end is told by itself
  };
}
