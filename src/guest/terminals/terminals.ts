import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { newTerminalId } from '../../kernel/ids.ts';
import { type openTerminalSchema, terminalBounds } from '../../wire/contract/terminals.ts';
import type { z } from 'zod';
import type { ProcessOwners } from '../processes/process-owners.ts';
import { terminalProgram } from './terminal-program.ts';
import { Terminal } from './terminal.ts';

interface TerminalsOptions {
  /** The first is where terminals start, the second their home. */
  readonly roots: readonly string[];
  readonly clock: Clock;
  /** Told of each terminal, by the process that leads its session. */
  readonly owners: Pick<ProcessOwners, 'add'>;
}

/** The terminals of a sandbox: 16 that run, and the last 16 that have ended, for 10 minutes each. */
export class Terminals {
  readonly #options: TerminalsOptions;
  /** Oldest first. */
  readonly #terminals = new Map<string, Terminal>();
  /** Of those that run. */
  readonly #owned = new Map<string, Disposable>();
  #opening = 0;

  constructor(options: TerminalsOptions) {
    this.#options = options;
  }

  list(): readonly Terminal[] {
    return [...this.#terminals.values()];
  }

  /** TERMINAL_NOT_FOUND also for one that ended some time ago. */
  get(id: string): Terminal {
    const terminal = this.#terminals.get(id);
    if (terminal === undefined)
      throw new CaissonError('TERMINAL_NOT_FOUND', `There is no terminal ${id.slice(0, 100)}.`);
    return terminal;
  }

  /** LIMIT_REACHED above 16; BAD_REQUEST for a program or folder that is not there; otherwise rejects as `Pty.spawn` does. */
  async open(request: z.output<typeof openTerminalSchema>): Promise<Terminal> {
    const running = this.list().filter(({ hasEnded }) => !hasEnded).length;
    if (running + this.#opening >= terminalBounds.running) {
      throw new CaissonError('LIMIT_REACHED', `${terminalBounds.running} terminals of the sandbox are open already.`, {
        hint: 'Close one of them: `caisson shell <agent> --list` shows them.',
      });
    }
    this.#opening += 1;
    try {
      const { roots, clock } = this.#options;
      const program = await terminalProgram(request, roots);
      const id = newTerminalId();
      const terminal = await Terminal.open({
        id,
        clock,
        ...program,
        command: request.command ?? [program.file],
        size: { cols: request.cols, rows: request.rows },
        onEnd: () => this.#retire(id),
      });
      this.#terminals.set(id, terminal);
      this.#owned.set(id, this.#options.owners.add(terminal.info().pid, { kind: 'terminal', id }));
      if (terminal.hasEnded) this.#disown(id);
      return terminal;
    } finally {
      this.#opening -= 1;
    }
  }

  /** Ends one that runs and keeps it listed; forgets one that has ended. */
  async close(id: string): Promise<Terminal> {
    const terminal = this.get(id);
    if (terminal.hasEnded) this.#terminals.delete(id);
    await terminal.close();
    return terminal;
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.list().map((terminal) => terminal.close()));
  }

  #disown(id: string): void {
    this.#owned.get(id)?.[Symbol.dispose]();
    this.#owned.delete(id);
  }

  #retire(id: string): void {
    this.#disown(id);
    this.#options.clock.schedule(terminalBounds.endedMs, () => this.#terminals.delete(id));
    const ended = [...this.#terminals].filter(([, { hasEnded }]) => hasEnded);
    for (const [oldest] of ended.slice(0, -terminalBounds.ended)) this.#terminals.delete(oldest);
  }
}
