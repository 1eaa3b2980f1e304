import { realpathSync } from 'node:fs';
import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { type IncarnationId, newProcessId, type ProcessId } from '../../kernel/ids.ts';
import {
  type KillAnswer,
  type KillRequest,
  maxEndedProcesses,
  maxProcesses,
  type ProcessInfo,
  type ProcessList,
  rememberEndedMs,
  type SignalName,
} from '../../wire/contract/processes.ts';
import { BackgroundOutput } from './background-output.ts';
import { isReused, spared, targetOf } from './end-process.ts';
import { killFamily } from './kill-family.ts';
import { LogBudget } from './log-budget.ts';
import { ManagedProcess, type OutputSink, sendSignal } from './managed-process.ts';
import { readProcess } from './proc.ts';
import { processEnvironment } from './process-environment.ts';
import { markVariable } from './process-mark.ts';
import type { ProcessOwners } from './process-owners.ts';
import { readProcessTree } from './process-tree.ts';
import { readSandboxLimits } from './sandbox-limits.ts';
import { spawnChild } from './spawn-child.ts';
import { openWorkingDirectory } from './working-directory.ts';

export interface ProcessTableOptions {
  readonly incarnation: IncarnationId;
  /** The folders that a process may begin in; the first is the default. */
  readonly roots: readonly string[];
  readonly owners: ProcessOwners;
  readonly clock: Clock;
  /** What the logs of background processes may take together. */
  readonly budget?: LogBudget;
}

interface LaunchRequest {
  readonly command: readonly string[];
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

interface Launch {
  readonly kind: ProcessInfo['kind'];
  readonly keepInput: boolean;
  readonly sink: OutputSink;
}

/** A background process, with its output. */
interface Background {
  readonly process: ManagedProcess;
  readonly output: BackgroundOutput;
  /** Its place among the owners, for as long as it is remembered: what it left running is still its own. */
  readonly owned: Disposable;
  /** When its output ended; null before. */
  overAt: number | null;
}

/**
 * What callers run in this sandbox: at most 64 at a time. A background process that is over is remembered, with its
 * output, for an hour, and while there are fewer than 64 later ones.
 */
export class ProcessTable {
  readonly #options: ProcessTableOptions;
  readonly #roots: readonly string[];
  readonly #budget: LogBudget;
  readonly #running = new Map<ProcessId, ManagedProcess>();
  readonly #background = new Map<ProcessId, Background>();
  #starting = 0;

  constructor(options: ProcessTableOptions) {
    this.#options = options;
    this.#roots = options.roots.map(real);
    this.#budget = options.budget ?? new LogBudget();
  }

  /**
   * Starts a process whose output goes to `sink`.
   *
   * @throws LIMIT_REACHED, PROCESS_NOT_STARTED, and what `openWorkingDirectory` throws.
   */
  async launch(request: LaunchRequest, { kind, keepInput, sink }: Launch): Promise<ManagedProcess> {
    if (this.#running.size + this.#starting >= maxProcesses) {
      throw new CaissonError('LIMIT_REACHED', `${maxProcesses} processes are running already.`, {
        hint: 'Wait for one of them to end, or end one: `caisson ps <agent>`.',
        details: { limit: maxProcesses },
      });
    }
    const { owners, clock } = this.#options;
    this.#starting++;
    try {
      using directory = openWorkingDirectory(request.cwd, this.#roots);
      const id = newProcessId();
      const environment = { ...processEnvironment(process.env, request.env), ...markVariable(id) };
      const child = await spawnChild({ command: request.command, environment, directory });
      const { command } = request;
      const now = (): number => clock.now();
      const managed = new ManagedProcess({ id, kind, child, command, cwd: directory.path, keepInput, sink, now });
      this.#running.set(id, managed);
      const owned = kind === 'background' ? undefined : owners.add(child.pid, { kind: 'process', id });
      void managed.over.then(() => {
        this.#running.delete(id);
        owned?.[Symbol.dispose]();
      });
      return managed;
    } finally {
      this.#starting--;
    }
  }

  /** Starts a process whose output is kept. */
  async start(request: LaunchRequest & { readonly keepInput: boolean }): Promise<ProcessInfo> {
    const output = new BackgroundOutput(this.#budget);
    const { keepInput } = request;
    const launched = this.launch(request, { kind: 'background', keepInput, sink: output });
    const process = await launched.catch((thrown: unknown) => {
      output.forget();
      throw thrown;
    });
    const owned = this.#options.owners.add(process.pid, { kind: 'process', id: process.id });
    const entry: Background = { process, output, owned, overAt: null };
    this.#background.set(process.id, entry);
    void process.over.then(() => {
      entry.overAt = this.#options.clock.elapsed();
      output.end();
      this.#forgetOld();
    });
    return process.info();
  }

  /** @throws PROCESS_NOT_FOUND */
  get(id: ProcessId): ManagedProcess {
    this.#forgetOld();
    const process = this.#running.get(id) ?? this.#background.get(id)?.process;
    if (process !== undefined) return process;
    const { incarnation } = this.#options;
    throw new CaissonError('PROCESS_NOT_FOUND', `The sandbox has no process ${id}.`, {
      details: { processId: id, incarnation },
    });
  }

  /** @throws PROCESS_NOT_FOUND, and BAD_REQUEST for a process whose output goes to whoever waits for it. */
  outputOf(id: ProcessId): BackgroundOutput {
    const process = this.get(id);
    const output = this.#background.get(id)?.output;
    if (output !== undefined) return output;
    throw new CaissonError('BAD_REQUEST', `The output of ${process.id} goes to who runs it, and is not kept.`, {
      hint: 'Processes that are started in the background have logs.',
    });
  }

  async list(): Promise<ProcessList> {
    this.#forgetOld();
    const { incarnation, owners, clock } = this.#options;
    const { tree, isTreeCut } = await readProcessTree(owners, clock.now());
    const ended = [...this.#background.values()].map(({ process }) => process).filter(({ isOver }) => isOver);
    return {
      incarnation,
      processes: [...ended, ...this.#running.values()].map((process) => process.info()),
      tree: [...tree],
      isTreeCut,
      limits: { processes: { used: this.#running.size, most: maxProcesses }, ...readSandboxLimits() },
    };
  }

  /** Signals the process's group. @throws PROCESS_NOT_FOUND, PROCESS_ENDED. */
  signal(id: ProcessId, signal: SignalName): void {
    const process = this.get(id);
    if (isReused(process) || !process.signal(signal)) {
      throw new CaissonError('PROCESS_ENDED', `${id} has ended.`, { details: { ...process.exit } });
    }
  }

  /** Signals one process, whoever started it. @throws PROCESS_NOT_FOUND, FORBIDDEN. */
  signalPid(pid: number, signal: SignalName): void {
    this.#requireForeign(pid);
    if (!sendSignal(pid, signal)) throw this.#noPid(pid);
  }

  /** Resolves when all that belongs to the target is gone, or does not go. A process that has ended is no error. */
  async kill({ target, signal, graceMs }: KillRequest): Promise<KillAnswer> {
    const { clock } = this.#options;
    if ('pid' in target) {
      this.#requireForeign(target.pid);
      const managed = [...this.#running.values()].find(({ pid }) => pid === target.pid);
      if (managed === undefined && readProcess(target.pid) === undefined) throw this.#noPid(target.pid);
      const killed = managed === undefined ? { pid: target.pid, isLeader: false } : targetOf(managed);
      return await killFamily({ ...killed, signal, graceMs, clock, spared });
    }
    return await killFamily({ ...targetOf(this.get(target.id)), signal, graceMs, clock, spared });
  }

  /** Kills everything at once: the sandbox goes. */
  stop(): void {
    for (const process of this.#running.values()) {
      if (!isReused(process)) process.signal('SIGKILL');
      process.cutOutput();
    }
  }

  #requireForeign(pid: number): void {
    if (pid !== 1 && pid !== process.pid) return;
    throw new CaissonError('FORBIDDEN', `Process ${pid} is what holds the sandbox up.`, {
      hint: 'Delete the agent, or stop its runs.',
    });
  }

  #noPid(pid: number): CaissonError {
    const { incarnation } = this.#options;
    return new CaissonError('PROCESS_NOT_FOUND', `The sandbox has no process ${pid}.`, {
      details: { pid, incarnation },
    });
  }

  #forgetOld(): void {
    const oldest = this.#options.clock.elapsed() - rememberEndedMs;
    const ended = [...this.#background.values()].flatMap((entry) => (entry.overAt === null ? [] : [entry]));
    ended.sort((a, b) => (a.overAt ?? 0) - (b.overAt ?? 0));
    for (const [index, { process, output, owned, overAt }] of ended.entries()) {
      const isSuperfluous = index < ended.length - maxEndedProcesses;
      if (!isSuperfluous && (overAt ?? 0) >= oldest) return;
      this.#background.delete(process.id);
      output.forget();
      owned[Symbol.dispose]();
    }
  }
}

function real(root: string): string {
  try {
    return realpathSync(root);
  } catch {
    return root; // it is not there yet
  }
}
