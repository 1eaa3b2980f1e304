import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ExpectedError } from './expected-error.mjs';

const wantedMajor = 24;

/** The Node that everything after the bootstrap runs on: npm's own copy where there is one for this platform, else the running one. */
export function findNode(root) {
  const carried = join(root, 'node_modules', '.bin', 'node');
  if (existsSync(carried) && runs(carried)) return carried;
  if (Number(process.versions.node.split('.')[0]) >= wantedMajor) return process.execPath;
  throw new ExpectedError(
    `Node.js ${wantedMajor} is missing: npm carries no copy for ${process.platform}-${process.arch}, and this is Node.js ${process.versions.node}; ` +
      `install Node.js ${wantedMajor} or newer, then run this again.`,
  );
}

function runs(node) {
  try {
    execFileSync(node, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    // A binary for another libc or processor: the running Node may still do.
    return false;
  }
}
