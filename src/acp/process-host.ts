import type { GuestHealth } from '../wire/contract/guest-api.ts';
import { HarnessGoneError, type HarnessExit, type HarnessProcess } from './harness-process.ts';

type HostState =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed' }
  | { readonly kind: 'starting'; readonly process: Promise<HarnessProcess>; readonly abort: AbortController }
  | { readonly kind: 'running'; readonly process: HarnessProcess };

export interface ProcessHostOptions {
  readonly launch: (signal: AbortSignal) => Promise<HarnessProcess>;
  readonly onStarted: (process: HarnessProcess) => void;
  readonly onExited: (process: HarnessProcess, exit: HarnessExit) => void;
}

/**
 * Keeps at most one harness process.
 *
 *     stopped, failed --need--> starting --ok--> running --exit--> stopped (asked for) or failed
 *                               starting --error--> failed,  --stop--> stopped
 *
 * A process that is on its way out is waited for before the next is started, so that two never work on the same files.
 */
export class ProcessHost {
  #state: HostState = { kind: 'stopped' };
  #isStopping = false;
  /** How often `stop` was called: whoever asked before it gets nothing any more. */
  #stops = 0;
  readonly #options: ProcessHostOptions;

  constructor(options: ProcessHostOptions) {
    this.#options = options;
  }

  get state(): GuestHealth['harness']['state'] {
    if (this.#state.kind !== 'running') return this.#state.kind;
    return this.#state.process.isEnding ? 'stopped' : 'ready';
  }

  get pid(): number | undefined {
    return this.#state.kind === 'running' ? this.#state.process.pid : undefined;
  }

  /**
   * The running process; starts one where there is none. Single-flight.
   *
   * @throws HARNESS_FAILED when it cannot be started, HarnessGoneError when `stop` is called meanwhile.
   */
  async need(): Promise<HarnessProcess> {
    const stops = this.#stops;
    for (;;) {
      if (this.#stops !== stops) throw stopped();
      const state = this.#state;
      if (state.kind === 'running' && !state.process.isEnding) return state.process;
      if (state.kind === 'running') await state.process.exited;
      else if (state.kind === 'starting') return state.process;
      else return this.#start();
    }
  }

  /** Ends the process and waits until it is gone. The next need starts another. */
  async stop(): Promise<void> {
    this.#stops += 1;
    const state = this.#state;
    if (state.kind === 'starting') {
      state.abort.abort(stopped());
      await state.process.catch(() => undefined); // its starter has the error
    }
    if (state.kind !== 'running') return;
    this.#isStopping = true;
    await state.process.stop();
  }

  #start(): Promise<HarnessProcess> {
    const abort = new AbortController();
    const process = this.#launch(abort.signal);
    this.#state = { kind: 'starting', process, abort };
    return process;
  }

  async #launch(signal: AbortSignal): Promise<HarnessProcess> {
    try {
      const process = await this.#options.launch(signal);
      this.#isStopping = false;
      this.#state = { kind: 'running', process };
      this.#options.onStarted(process);
      void process.exited.then((exit) => {
        this.#state = { kind: this.#isStopping ? 'stopped' : 'failed' };
        this.#options.onExited(process, exit);
      });
      return process;
    } catch (error) {
      this.#state = { kind: signal.aborted ? 'stopped' : 'failed' };
      throw error;
    }
  }
}

function stopped(): HarnessGoneError {
  return new HarnessGoneError({ exitCode: null, signal: null, stderr: '' });
}
