import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { readProcess } from '../../../src/guest/processes/proc.ts';
import { markedOrphans, markOf, markVariable } from '../../../src/guest/processes/process-mark.ts';
import { newProcessId } from '../../../src/kernel/ids.ts';

test.each([0, 1, 20, 40])(
  'a mark that begins %i bytes before the end of what is read at a time is found',
  async (before) => {
    const id = newProcessId();
    const filling = 'x'.repeat(64 * 1024 - before - 'A=\0'.length);
    const child = spawn('sleep', ['60'], { env: { A: filling, ...markVariable(id) } });
    await once(child, 'spawn');
    const found = readProcess(child.pid ?? 0);
    const orphan = { ...(found ?? expect.unreachable('it runs')), ppid: 1 };
    expect(await markedOrphans(markOf(id), [orphan])).toEqual([orphan]);
    expect(await markedOrphans(markOf(newProcessId()), [orphan])).toEqual([]);
    child.kill('SIGKILL');
  },
);
