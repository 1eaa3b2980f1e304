import type { Process, ProcessSignal } from '../api.ts';

export interface ProcessEnd {
  /** Null where a signal ended it. */
  readonly exitCode: number | null;
  /** E.g. `SIGTERM`. */
  readonly signal: string | null;
  /** Whether its time was up. */
  readonly timedOut: boolean;
}

/**
 * A process in a sandbox, with its streams. Nothing of its output is lost: where it is not read the process waits, so read both
 * outputs, or cancel what you do not want. Input is waited for as well.
 */
export interface RemoteProcess extends AsyncDisposable {
  /** As it was when it began. */
  readonly process: Process;
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  /** Resolves when it has ended. Rejects with what kept its end from being heard: it is killed then. */
  readonly exit: Promise<ProcessEnd>;
  /** Signals it and its group. Does nothing once it has ended. */
  kill(signal?: ProcessSignal): void;
  /** Leaves it: what still runs is killed. So does the end of `await using`. */
  close(): void;
}

export interface SpawnOptions {
  readonly agentId: string;
  /** The program and its arguments. No shell reads them. */
  readonly command: readonly string[];
  /** Default: the workspace. */
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** After this time it is told to end, and then killed. Default: no limit. */
  readonly timeoutMs?: number | undefined;
  /** Leaves the process. */
  readonly signal?: AbortSignal | undefined;
}
