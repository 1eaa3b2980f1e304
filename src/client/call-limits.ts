/** Of a call that does not wait for anything by design: longer than what the control plane allows itself for one. */
export const defaultCallMs = 60_000;

/** More for what brings a sandbox up where needed. A start that takes longer goes on, and the call can be repeated. */
export const sandboxStartMs = 120_000;

/** For a WebSocket to open, which waits in the same way: so much longer that the control plane's own word comes first. */
export const socketOpenMs = sandboxStartMs + 45_000;

/** What the control plane allows itself for work on whole trees of files, and for the removal of a sandbox. */
const treeMs = 600_000;

/** The longest that timers know. */
const mostMs = 2_147_483_647;

interface Wait {
  /** More than a plain call has. Default 0. */
  readonly ms?: number;
  /** The field of the input that says how long it waits, and what it is by default in the control plane. */
  readonly field?: string;
  readonly byDefault?: number;
}

const start: Wait = { ms: sandboxStartMs };
const tree: Wait = { ms: sandboxStartMs + treeMs };

/** The procedures that may take longer than a plain call: a test holds their names against the API. */
export const longCalls: Readonly<Record<string, Wait>> = {
  'agents.sendMessage': { field: 'timeoutMs', byDefault: 600_000 },
  'agents.delete': { ms: treeMs },
  'runs.wait': { field: 'timeoutMs', byDefault: 30_000 },
  'processes.exec': { ms: sandboxStartMs, field: 'timeoutMs', byDefault: 60_000 },
  'processes.start': start,
  'processes.wait': { field: 'timeoutMs', byDefault: 30_000 },
  'processes.kill': { field: 'graceMs', byDefault: 5_000 },
  'terminals.open': start,
  'files.list': start,
  'files.stat': start,
  'files.read': start,
  'files.write': start,
  'files.mkdir': start,
  'files.move': tree,
  'files.copy': tree,
  'files.remove': tree,
  // A first look at a large workspace reads every file of it: the control plane gives it two minutes.
  'changes.status': { ms: sandboxStartMs + 120_000 },
  'changes.diff': { ms: sandboxStartMs + 120_000 },
  'changes.checkpoints': start,
  'changes.restore': tree,
};

/** How long a call may take, in milliseconds, where a plain one may take `plainMs`. */
export function callLimitMs(path: string, input: unknown, plainMs: number): number {
  const given: Readonly<Record<string, unknown>> = typeof input === 'object' && input !== null ? { ...input } : {};
  // With `wait` it answers when the sandbox runs, for which it has ten minutes.
  if (path === 'agents.create') return plainMs + (given['wait'] === true ? 600_000 : 0);
  const { ms = 0, field = '', byDefault = 0 } = longCalls[path] ?? {};
  const asked = given[field];
  return Math.min(mostMs, plainMs + ms + (typeof asked === 'number' ? asked : byDefault));
}
