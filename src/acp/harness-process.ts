import { spawn } from 'node:child_process';
import {
  client,
  methods,
  type AgentCapabilities,
  type ClientConnection,
  type ClientContext,
  type RequestPermissionRequest,
  type RequestPermissionResponse,
} from '@agentclientprotocol/sdk/unstable';
import type { Clock } from '../kernel/clock.ts';
import { CaissonError, errorText } from '../kernel/errors.ts';
import type { Logger } from '../kernel/logger.ts';
import { guestProtocol } from '../wire/contract/guest-api.ts';
import { childEnd, hasExited, signalGroup } from './process-group.ts';
import { StderrTail } from './stderr-tail.ts';
import { stdioStream } from './stdio-stream.ts';

const initializeTimeoutMs = 30_000;
/** From SIGTERM to SIGKILL when the program is stopped. codex-acp needs about 75 ms. */
const stopGraceMs = 2_000;
/** How long the output of a program that has exited may take to end, and a program without output to exit. */
const drainGraceMs = 2_000;

export interface HarnessExit {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** The last 4 KiB. */
  readonly stderr: string;
}

/** The harness ended, or was ended, while something was asked of it. */
export class HarnessGoneError extends Error {
  readonly exit: HarnessExit;

  constructor(exit: HarnessExit) {
    super('the harness ended');
    this.exit = exit;
  }
}

/** One run of a harness program, initialized. */
export interface HarnessProcess {
  readonly agent: ClientContext;
  readonly capabilities: AgentCapabilities;
  readonly version: string;
  readonly pid: number | undefined;
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
  /** Gives up the start. */
  readonly signal: AbortSignal;
  readonly room: () => Promise<void> | undefined;
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
  options.signal.throwIfAborted();
  const program = launch(options);
  try {
    const { agentCapabilities, agentInfo } = await initialize(program.agent, options);
    return Object.assign(program, { capabilities: agentCapabilities ?? {}, version: agentInfo?.version ?? 'unknown' });
  } catch (error) {
    const isGone = program.isEnding;
    program.kill('it could not be initialized');
    const { exitCode, signal, stderr } = await program.exited;
    if (options.signal.aborted) throw options.signal.reason;
    const ended =
      exitCode === null && signal === null ? 'could not be started' : `exited with ${signal ?? `code ${exitCode}`}`;
    const what = error instanceof NoAnswerError ? error.message : isGone ? ended : `refused: ${errorText(error)}`;
    throw new CaissonError('HARNESS_FAILED', `The harness ${options.name} ${what}.`, {
      cause: error,
      details: { stderr },
    });
  }
}

class NoAnswerError extends Error {}

async function initialize(agent: ClientContext, { clock, signal }: HarnessProcessOptions) {
  const failed = Promise.withResolvers<never>();
  const abort = (): void => failed.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  const cancelTimeout = clock.schedule(initializeTimeoutMs, () =>
    failed.reject(new NoAnswerError(`did not start within ${initializeTimeoutMs / 1_000} s`)),
  );
  try {
    const answer = agent.request(methods.agent.initialize, {
      protocolVersion: 1,
      // No files and no terminals: the harness works in the sandbox by itself.
      clientCapabilities: {},
      clientInfo: { name: 'caisson', version: String(guestProtocol) },
    });
    return await Promise.race([answer, failed.promise]);
  } finally {
    cancelTimeout();
    signal.removeEventListener('abort', abort);
  }
}

type LaunchedProcess = Omit<HarnessProcess, 'capabilities' | 'version'>;

/** Spawns the program and speaks ACP to it; from here on only `exited` tells of its end. */
function launch({ command, environment, clock, logger, ...options }: HarnessProcessOptions): LaunchedProcess {
  const [program, ...args] = command;
  const child = spawn(program, args, { env: environment, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const end = childEnd(child);
  const stderr = new StderrTail(child.stderr);
  child.stdin.on('error', () => undefined); // a failed write fails its request; the program's end says why
  const { room, onUpdate } = options;
  const stream = stdioStream({ stdout: child.stdout, stdin: child.stdin, room, onUpdate, logger });
  const connection: ClientConnection = client({ name: 'caisson' })
    .onRequest(methods.client.session.requestPermission, (context) =>
      options.onPermissionRequest(context.params, context.signal),
    )
    .onNotification('*', ({ method }) => logger.debug({ method }, 'the harness sent a notification of its own'))
    .connect(stream);

  let isEnding = false;
  const kill = (why: string): void => {
    if (!isEnding) logger.warn({ pid: child.pid, why }, 'killing the harness');
    isEnding = true;
    if (!hasExited(child)) signalGroup(child, 'SIGKILL');
    connection.close(new Error(why));
  };

  /** Ends output that something else holds open; output that waits for room is given its time. */
  const endOutputLater = (): (() => void) => {
    let cancel = clock.schedule(drainGraceMs, function check() {
      if (stream.isHeld) cancel = clock.schedule(drainGraceMs, check);
      else connection.close();
    });
    return () => cancel();
  };

  const waitForExit = async (): Promise<HarnessExit> => {
    const { exitCode, signal, error } = await end;
    isEnding = true;
    signalGroup(child, 'SIGKILL'); // what it left behind
    const cancel = endOutputLater();
    await connection.closed;
    cancel();
    return { exitCode, signal, stderr: error ?? stderr.text };
  };
  const exited = waitForExit();

  // A program that closes its output is of no more use, whether it exits or not.
  void connection.closed.then(() => {
    isEnding = true;
    const cancel = clock.schedule(drainGraceMs, () => kill('it closed its output'));
    void end.then(cancel);
  });

  return {
    agent: connection.agent,
    pid: child.pid,
    exited,
    get isEnding() {
      return isEnding;
    },
    get isHeld() {
      return stream.isHeld;
    },
    kill,
    async stop() {
      isEnding = true;
      if (!hasExited(child)) signalGroup(child, 'SIGTERM');
      const cancel = clock.schedule(stopGraceMs, () => kill('it did not end when it was asked to'));
      await exited;
      cancel();
    },
  };
}
