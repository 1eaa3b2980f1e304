/** What the process ends with. Scripts rely on these. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  runNotCompleted: 3,
  unreachable: 4,
  /** As a shell reports an interrupt. */
  interrupted: 130,
} as const;
