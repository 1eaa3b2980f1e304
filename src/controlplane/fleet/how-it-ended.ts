import type { Sandbox } from '../../sandbox-providers/contract/index.ts';

/** What SIGKILL leaves, whoever sent it. */
const killed = 137;

/** One sentence on a sandbox that does not run, for people. */
export function howItEnded(sandbox: Sandbox | undefined): string {
  if (sandbox === undefined) return 'The sandbox is gone, with its workspace.';
  const { state, ended } = sandbox;
  if (ended === null)
    return state === 'broken' ? 'The sandbox cannot be used any more.' : 'The sandbox is not running.';
  // Engines also remember a shortage that the sandbox outlived, so no more than this is known.
  if (ended.outOfMemory && ended.exitCode === killed) return 'The sandbox was killed, after it ran out of memory.';
  return `The sandbox ended with exit code ${ended.exitCode}${ended.exitCode === killed ? ' (killed)' : ''}.`;
}
