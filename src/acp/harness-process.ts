import { spawn, type ChildProcess } from 'node:child_process';
import {
  client,
  methods,
  type AgentCapabilities,
  type ClientContext,
  type RequestPermissionRequest,
  type RequestPermissionResponse,
} from '@agentclientprotocol/sdk/unstable';
import type { Clock } from '../kernel/clock.ts';
import { CaissonError, errorText } from '../kernel/errors.ts';
import type { Logger } from '../kernel/logger.ts';
import { guestProtocol } from '../wire/contract/guest-api.ts';
import { isGroupAlive, killGroup } from './process-group.ts';
import { StderrTail } from './stderr-tail.ts';
import { stdioStream } from './stdio-stream.ts';

const initializeTimeoutMs = 30_000;
/** From SIGTERM to SIGKILL when the program is stopped. codex-acp needs about 75 ms. */
const stopGraceMs = 2_000;
/** How long the output of a program that has exited may take to end. */
const drainGraceMs = 2_000;

export interface HarnessExit {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** The last 4 KiB. */
  readonly stderr: string;
}

/** One run of a harness program, initialized. */
export interface HarnessProcess {
  readonly agent: ClientContext;
  readonly capabilities: AgentCapabilities;
  readonly version: string;
  /** Resolves once the program is gone and all that it said has been handled. Never rejects. */
  readonly exited: Promise<HarnessExit>;
  /** Whether it is gone or going: no request to it will be answered. */
  readonly isEnding: boolean;
  /** Whether its output waits for room. */
  readonly isHeld: boolean;
  /** Kills the whole process group at once. What it has said and was not yet read is lost. */
  kill(why: string): void;
  /** Ends it politely, then by force. */
  stop(): Promise<void>;
}

export interface HarnessProcessOptions {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly room: () => Promise<void>;
  readonly onUpdate: (params: unknown) => void;
  readonly onPermissionRequest: (
    request: RequestPermissionRequest,
    signal: AbortSignal,
  ) => Promise<RequestPermissionResponse>;
}

/**
 * Starts a harness program in a process group of its own and initializes it. Rejects with HARNESS_FAILED when it cannot
 * be started, exits first, or does not answer within 30 s, and with the signal's reason; nothing is left of it then.
 */
export async function startHarnessProcess(options: HarnessProcessOptions): Promise<HarnessProcess> {
  const { name, command, environment, clock, logger, signal } = options;
  signal.throwIfAborted();
  const [program, ...args] = command;
  const child = spawn(program, args, { env: environment, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const left = childEnd(child);
  const stderr = new StderrTail(child.stderr);
  child.stdin.on('error', () => undefined); // a write that fails rejects its request; the end of the program says why
  const stream = stdioStream({ ...options, stdout: child.stdout, stdin: child.stdin });
  const connection = client({ name: 'caisson' })
    .onRequest(methods.client.session.requestPermission, ({ params, signal }) =>
      options.onPermissionRequest(params, signal),
    )
    .onNotification('*', ({ method }) => logger.debug({ method }, 'the harness sent a notification of its own'))
    .connect(stream);

  let isEnding = false;
  const kill = (why: string): void => {
    isEnding = true;
    logger.warn({ pid: child.pid, why }, 'killing the harness');
    killGroup(child, 'SIGKILL');
    child.stdout.destroy();
  };

  const exit = async (): Promise<HarnessExit> => {
    const { exitCode, signal, error } = await left;
    isEnding = true;
    killGroup(child, 'SIGKILL'); // what it left behind could hold its output open for ever
    const endOutput = (): (() => void) =>
      clock.schedule(drainGraceMs, () => {
        if (stream.isHeld) cancelEnd = endOutput();
        else child.stdout.destroy();
      });
    let cancelEnd = endOutput();
    await connection.closed;
    cancelEnd();
    return { exitCode, signal, stderr: error ?? stderr.text };
  };
  const exited = exit();
  // A program that closes its output is of no more use, whether it exits or not.
  void connection.closed.then(() => {
    isEnding = true;
    return clock.schedule(drainGraceMs, () => killGroup(child, 'SIGKILL'));
  });

  const stop = async (): Promise<void> => {
    isEnding = true;
    killGroup(child, 'SIGTERM');
    const cancelKill = clock.schedule(stopGraceMs, () => kill('it did not end when asked to'));
    await exited;
    cancelKill();
  };

  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined); // read by the race below, which may be over
  const abort = (): void => failed.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  const cancelTimeout = clock.schedule(initializeTimeoutMs, () =>
    failed.reject(startFailure(name, `did not answer within ${initializeTimeoutMs / 1000} s`, stderr.text)),
  );
  try {
    const answer = connection.agent.request(methods.agent.initialize, {
      protocolVersion: 1,
      clientCapabilities: {},
      clientInfo: { name: 'caisson', version: String(guestProtocol) },
    });
    const { agentCapabilities, agentInfo } = await Promise.race([answer, failed.promise]);
    return {
      agent: connection.agent,
      capabilities: agentCapabilities ?? {},
      version: agentInfo?.version ?? 'unknown',
      exited,
      get isEnding() {
        return isEnding;
      },
      get isHeld() {
        return stream.isHeld;
      },
      kill,
      stop,
    };
  } catch (error) {
    const ended = connection.signal.aborted;
    kill('it could not be initialized');
    const { exitCode, signal: endSignal, stderr } = await exited;
    if (error instanceof CaissonError || signal.aborted) throw error;
    const how = ended ? `exited with ${endSignal ?? `code ${exitCode}`}` : `refused to start: ${errorText(error)}`;
    throw startFailure(name, how, stderr, error);
  } finally {
    cancelTimeout();
    signal.removeEventListener('abort', abort);
  }
}
