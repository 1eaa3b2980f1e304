import { readdirSync, readFileSync } from 'node:fs';
import { afterAll } from 'vitest';

// After a failed test a program may be left that holds the output of its worker open, and vitest waits for its end without a bound.
afterAll(() => {
  for (const thread of readdirSync('/proc/self/task')) {
    for (const child of readFileSync(`/proc/self/task/${thread}/children`, 'utf8').split(' ')) {
      if (child !== '') process.kill(Number(child), 'SIGKILL');
    }
  }
});
