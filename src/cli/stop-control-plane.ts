import type { ControlPlane } from '../controlplane/index.ts';
import { exitCodes } from './exit-codes.ts';
import { stderr } from './output/sink.ts';

/** A control plane closes within about 10 s; a service manager waits 20 s for the process (docs/operations.md). */
const closeTimeoutMs = 15_000;
/** How long what is left open after that may keep the process. */
const lingerMs = 1_000;

/**
 * Closes the control plane, and sees to it that the process ends: with 1 when it does not close in time. What keeps it
 * after it has closed is named and left behind.
 */
export async function stopControlPlane(controlPlane: Pick<ControlPlane, 'close'>): Promise<void> {
  const overdue = setTimeout(() => {
    process.exitCode = exitCodes.failed;
    leave('The control plane did not close in time');
  }, closeTimeoutMs);
  try {
    await controlPlane.close();
  } finally {
    clearTimeout(overdue);
    // Does not keep the process itself: it is only reached when something else does.
    setTimeout(() => leave('The control plane is closed'), lingerMs).unref();
    // Past Node's own teardown, which runs round without end for a socket that was reset just when it was being ended. None of
    // ours is (kernel/reset-socket.ts); this is for those of libraries.
    process.once('exit', () => process.exit());
  }
}

function leave(what: string): never {
  void stderr.write(`${what}; still open: ${stillOpen()}.\n`); // a reader who takes nothing must not keep the process
  process.exit();
}

/** What is open, by kind, e.g. "3 PipeWrap, TCPSocketWrap". Standard input and output are among it where they are pipes. */
function stillOpen(): string {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => (count === 1 ? kind : `${count} ${kind}`)).join(', ') || 'nothing';
}
