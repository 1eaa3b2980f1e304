import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterAll } from 'vitest';

const threads = '/proc/self/task';

// After a failed test a program may be left that holds the output of its worker open, and vitest waits for its end without a bound.
afterAll(() => {
  if (!existsSync(threads)) return;
  for (const thread of readdirSync(threads)) {
    for (const child of childrenOf(thread)) {
      try {
        process.kill(child, 'SIGKILL');
      } catch {
        // it has ended meanwhile
      }
    }
  }
});

function childrenOf(thread: string): readonly number[] {
  try {
    return readFileSync(`${threads}/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return []; // the thread has ended meanwhile
  }
}
