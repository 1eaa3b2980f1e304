/** Where a test can have this process killed: between two steps that must survive being torn apart. */
type CrashPoint = 'run-accepted' | 'run-fenced' | 'run-handed-over' | 'journal-stored';

/** Names the point of the process's death. For tests; see `tests/e2e/restart.test.ts`. */
const crashPointVariable = 'CAISSON_CRASH_AT';

/** Kills this process, as `kill -9` would, if its environment asks for that at `point`. Otherwise does nothing. */
export function crashPoint(point: CrashPoint): void {
  if (process.env[crashPointVariable] === point) process.kill(process.pid, 'SIGKILL');
}
