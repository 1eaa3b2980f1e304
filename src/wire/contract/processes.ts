import * as z from 'zod';
import { incarnationIdSchema, type ProcessId, processIdSchema } from '../../kernel/ids.ts';

/**
 * Processes, as the guest runs them. Paths below `/v1/processes`; none needs the lease.
 *
 * | method, path          | body             | answer                                                          |
 * |-----------------------|------------------|-----------------------------------------------------------------|
 * | GET  /                |                  | ProcessList                                                     |
 * | POST /                | StartRequest     | ProcessInfo: it runs in the background                          |
 * | POST /exec            | ExecRequest      | ExecResult, when it has ended; killed when the stream closes    |
 * | POST /attach          | raw input        | output frames; exit in the trailer; killed when it is cut       |
 * | GET  /:id             |                  | ProcessInfo                                                     |
 * | GET  /:id/wait        |                  | ProcessInfo, at its end or after `?timeoutMs`                   |
 * | POST /:id/input       | InputRequest     | InputAnswer, INPUT_CLOSED or INPUT_FULL                         |
 * | POST /:id/signal      | SignalRequest    | {}                                                              |
 * | GET  /:id/logs        |                  | output frames from `?after`; with `?follow` until it ends       |
 * | POST /signal          | PidSignalRequest | {}                                                              |
 * | POST /kill            | KillRequest      | KillAnswer                                                      |
 */
export const processPaths = {
  all: '/v1/processes',
  exec: '/v1/processes/exec',
  attach: '/v1/processes/attach',
  signalPid: '/v1/processes/signal',
  kill: '/v1/processes/kill',
  one: (id: ProcessId | ':id') => `/v1/processes/${id}`,
  wait: (id: ProcessId | ':id') => `/v1/processes/${id}/wait`,
  input: (id: ProcessId | ':id') => `/v1/processes/${id}/input`,
  signal: (id: ProcessId | ':id') => `/v1/processes/${id}/signal`,
  logs: (id: ProcessId | ':id') => `/v1/processes/${id}/logs`,
} as const;

/** Request header of an attached process: an AttachRequest as base64url JSON. */
export const attachHeader = 'caisson-attach';
/** Response header of `attach` and `logs`: the ProcessInfo at the start; and their trailer: at the end. base64url JSON. */
export const processHeader = 'caisson-process';

/** Processes that one sandbox runs for its callers at a time: well below its limit, so that the harness can start its own. */
export const maxProcesses = 64;

/** The last bytes of a background process's output that are kept. All logs of a sandbox share `maxLogBytesInAll`. */
export const maxLogBytes = 1024 * 1024;
export const maxLogBytesInAll = 32 * 1024 * 1024;

/** Background processes that have ended and are remembered, the latest; and for how long. */
export const maxEndedProcesses = 64;
export const rememberEndedMs = 3_600_000;

/** Input that waits for a process to read it. */
export const maxWaitingInputBytes = 1024 * 1024;

/** Rows of the process tree. The kernel's limit of a sandbox is below it by default. */
export const maxTreeRows = 2_048;

/** Bytes of each output that `exec` gives back at most. */
export const maxExecOutputBytes = 4 * 1024 * 1024;

const noNul = (text: string): boolean => !text.includes('\0');
const textSchema = z.string().max(128 * 1024);

export const commandSchema = z
  .array(textSchema.refine(noNul, 'no argument can hold a NUL'))
  .min(1)
  .max(4_096)
  .refine(([program]) => program !== '', 'it names no program');

/** Variables that a caller gives to one program. */
export const maxVariables = 1_000;

export const environmentSchema = z
  .record(
    z
      .string()
      .max(1_024)
      .regex(/^[^=\0]+$/, 'not the name of a variable'),
    textSchema.refine(noNul, 'no variable can hold a NUL'),
  )
  .refine((all) => Object.keys(all).length <= maxVariables, `must not exceed ${maxVariables} variables`);

export const startRequestSchema = z.object({
  /** The program, found by PATH, and its arguments. No shell reads it. */
  command: commandSchema,
  /** A folder under the sandbox's roots; relative to the workspace, which is the default. */
  cwd: z.string().min(1).max(8_192).optional(),
  /** Put over the usual environment. */
  env: environmentSchema.optional(),
  /** Whether its input stays open to be written to. Else it is at its end from the start. */
  keepInput: z.boolean(),
});
export type StartRequest = z.infer<typeof startRequestSchema>;

export const attachRequestSchema = startRequestSchema.omit({ keepInput: true }).extend({
  /** After this time the process is told to end, then killed. */
  timeoutMs: z.int().positive().optional(),
});
export type AttachRequest = z.infer<typeof attachRequestSchema>;

export const execRequestSchema = attachRequestSchema.extend({
  timeoutMs: z.int().positive(),
  /** As base64. */
  input: z.string().optional(),
  /** Of each of the two outputs the last so many bytes are kept. */
  maxOutputBytes: z.int().positive().max(maxExecOutputBytes),
});
export type ExecRequest = z.infer<typeof execRequestSchema>;

const signalNameSchema = z.string().regex(/^SIG[A-Z0-9+]{1,12}$/, 'not the name of a signal');

export const exitSchema = z.object({
  exitCode: z.int().nullable(),
  signal: signalNameSchema.nullable(),
  /** Whether it was ended because its time was up. */
  timedOut: z.boolean(),
});
export type ProcessExit = z.infer<typeof exitSchema>;

const cutOutputSchema = z.object({
  /** The last bytes, as base64. */
  data: z.string(),
  /** How many bytes before them are gone. */
  lost: z.int().min(0),
});

export const execResultSchema = exitSchema.extend({
  durationMs: z.number().min(0),
  stdout: cutOutputSchema,
  stderr: cutOutputSchema,
});
export type ExecResult = z.infer<typeof execResultSchema>;

export const processInfoSchema = exitSchema.extend({
  id: processIdSchema,
  /** Of the process that was started. It leads a session and a group of its own. */
  pid: z.int().positive(),
  /** `background`: started, with logs. `exec` and `attached`: somebody waits for it, and has its output. */
  kind: z.enum(['background', 'exec', 'attached']),
  /** Shortened where it is long. */
  command: z.array(z.string().max(4_096)).max(256),
  cwd: z.string().max(8_192),
  state: z.enum(['running', 'exited']),
  /** Milliseconds since the epoch. */
  startedAt: z.int(),
  endedAt: z.int().nullable(),
  input: z.enum(['open', 'closed']),
  /** What `logs` can give: bytes from `start` to before `end`. Before `start` they are gone. */
  output: z.object({
    start: z.int().min(0),
    end: z.int().min(0),
    /** Whether more may come: also from what a process that has exited left running. */
    open: z.boolean(),
  }),
});
export type ProcessInfo = z.infer<typeof processInfoSchema>;

const ownerSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('guest') }),
  z.object({ kind: z.literal('harness') }),
  z.object({ kind: z.literal('process'), id: z.string().max(64) }),
  z.object({ kind: z.literal('terminal'), id: z.string().max(64) }),
]);
export type ProcessOwner = z.infer<typeof ownerSchema>;

const processTreeRowSchema = z.object({
  pid: z.int().min(0),
  ppid: z.int().min(0),
  /** The command line, or the program's name in brackets where there is none. Shortened where it is long. */
  command: z.string().max(1_024),
  user: z.string().max(64),
  /** As in /proc: `R` runs, `S` sleeps, `D` waits for a device, `T` is stopped, `Z` has ended. */
  state: z.string().max(1),
  /** Processor time so far. */
  cpuMs: z.int().min(0),
  /** The share of one core that it had since it began, as `ps` has it. */
  cpuPercent: z.number().min(0),
  /** Resident memory. */
  memoryBytes: z.int().min(0),
  startedAt: z.int(),
  /** Who it belongs to; null where that cannot be told. */
  owner: ownerSchema.nullable(),
});
export type ProcessTreeRow = z.infer<typeof processTreeRowSchema>;

const usedOfSchema = z.object({
  used: z.int().min(0),
  /** Null: there is no limit, or it cannot be told. */
  most: z.int().min(0).nullable(),
});

const sandboxLimitsSchema = z.object({
  /** Started by callers, and not yet over. */
  processes: usedOfSchema,
  /** Processes and threads of the whole sandbox. */
  pids: usedOfSchema,
  memoryBytes: usedOfSchema,
});

export const processListSchema = z.object({
  incarnation: incarnationIdSchema,
  processes: z.array(processInfoSchema).max(2 * (maxProcesses + maxEndedProcesses)),
  tree: z.array(processTreeRowSchema).max(maxTreeRows),
  /** Whether the sandbox has more processes than the tree shows. */
  isTreeCut: z.boolean(),
  limits: sandboxLimitsSchema,
});
export type ProcessList = z.infer<typeof processListSchema>;

/** Bytes as base64 for the input of a process, and whether it ends after them. */
export const inputRequestSchema = z.object({ data: z.string(), end: z.boolean() });
export const inputAnswerSchema = z.object({ waitingBytes: z.int().min(0) });

/** Those that make sense from outside. */
const signalNames = [
  'SIGHUP',
  'SIGINT',
  'SIGQUIT',
  'SIGABRT',
  'SIGKILL',
  'SIGUSR1',
  'SIGUSR2',
  'SIGPIPE',
  'SIGALRM',
  'SIGTERM',
  'SIGCONT',
  'SIGSTOP',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
  'SIGWINCH',
] as const;
export const signalSchema = z.enum(signalNames);
export type SignalName = z.infer<typeof signalSchema>;

export const signalRequestSchema = z.object({ signal: signalSchema });
export const pidSignalRequestSchema = z.object({ pid: z.int().positive(), signal: signalSchema });

export const killRequestSchema = z.object({
  target: z.union([z.object({ id: processIdSchema }), z.object({ pid: z.int().positive() })]),
  /** What is sent first. */
  signal: signalSchema,
  /** How long after it SIGKILL follows, to all that is still there. */
  graceMs: z.int().min(0).max(60_000),
});
export type KillRequest = z.infer<typeof killRequestSchema>;

/** How many processes were found and told to end, and those that even SIGKILL did not end in time. */
export const killAnswerSchema = z.object({ found: z.int().min(0), left: z.array(z.int()).max(maxTreeRows) });
export type KillAnswer = z.infer<typeof killAnswerSchema>;
