import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Only one holder of `name` at a time, among this user's processes on this machine. Waits for the other one, however long it takes, and
 * says so, as `work`, when it begins and every `remindMs` (default: 30 s). A lock whose process is gone is taken over. Returns the
 * function that releases.
 */
export async function acquireLock(name, { work, log, remindMs = 30_000 }) {
  const path = join(tmpdir(), `caisson-${name}-${userInfo().uid}.lock`);
  const token = JSON.stringify({ pid: process.pid, started: processStart(process.pid), directory: process.cwd() });
  const release = () => {
    if (readLock(path) === token) unlinkSync(path);
  };
  const since = performance.now();
  let tellAtMs = 0;
  for (;;) {
    const holder = readLock(path);
    if (holder === token) return release;
    if (holder === undefined) {
      if (createLock(path, token)) return release;
      continue;
    }
    if (isAlive(holder)) {
      const waitedMs = performance.now() - since;
      if (waitedMs >= tellAtMs) {
        const elapsed = tellAtMs === 0 ? '' : `, for ${Math.round(waitedMs / 1000)} s now`;
        log(`waiting for another ${work} on this machine to end (${describe(holder)})${elapsed}`);
        tellAtMs = waitedMs + remindMs;
      }
      await delay(300);
      continue;
    }
    // The last of several that take over a dead one's lock wins; the next look says who that was.
    renameSync(writeToken(path, token), path);
    await delay(200);
  }
}

function describe(holder) {
  const { pid, directory } = JSON.parse(holder);
  return directory === undefined ? `process ${pid}` : `process ${pid}, in ${directory}`;
}

function writeToken(path, token) {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, token, { mode: 0o600 });
  return own;
}

/** A link appears with its content, so that nobody reads a lock without a name. */
function createLock(path, token) {
  const own = writeToken(path, token);
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  } finally {
    unlinkSync(own);
  }
}

function readLock(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function isAlive(holder) {
  let pid;
  let started;
  try {
    ({ pid, started } = JSON.parse(holder));
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives, as another user. Otherwise it is gone.
    return error.code === 'EPERM';
  }
  return started === processStart(pid);
}

/** Tells a process from a later one with the same id. Empty where there is no /proc. */
function processStart(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    // No /proc, or no such process.
    return '';
  }
}
