import type { Sandbox } from '../../sandbox-providers/contract/index.ts';

/** What SIGKILL leaves, whoever sent it. */
const killed = 137;

/** One sentence on a sandbox that does not run, for people. */
export function howItEnded(sandbox: Sandbox | undefined): string {
  if (sandbox === undefined) return 'The sandbox is gone, with its workspace.';
  const { state, ended } = sandbox;
  if (ended === null)
    return state === 'broken' ? 'The sandbox cannot be used any more.' : 'The sandbox is not running.';
  // An engine may remember a shortage that the sandbox outlived: only what was killed died of it.
  if (ended.outOfMemory && ended.exitCode === killed) return 'The sandbox was killed for want of memory.';
  return `The sandbox ended with ${ended.exitCode}${ended.exitCode === killed ? ' (killed)' : ''}.`;
}
