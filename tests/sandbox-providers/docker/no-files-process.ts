// Runs a script when every file handle is taken, and prints the code of what comes of it.
import { closeSync, openSync } from 'node:fs';
import { outputOf } from '../../../src/sandbox-providers/docker/host-script.ts';

const taken: number[] = [];
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch {
  // all are taken
}
const running = outputOf('echo', { args: [], signal: new AbortController().signal, mostBytes: 1_000 });
const code = await running.catch((thrown: unknown) =>
  thrown instanceof Error && 'code' in thrown ? thrown.code : thrown,
);
for (const handle of taken) closeSync(handle);
console.log(code);
