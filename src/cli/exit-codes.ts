/** What the process ends with. Scripts rely on these. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  runNotCompleted: 3,
  unreachable: 4,
  /** Of `exec`, as `timeout`, Docker and shells have them; all others are those of the command itself. */
  timedOut: 124,
  notRun: 125,
  noExecutable: 126,
  noProgram: 127,
  /** As a shell reports an interrupt. */
  interrupted: 130,
} as const;
