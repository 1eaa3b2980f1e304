import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A Node process of the test, and the lines that it prints. Killed, if it still runs, when disposed. */
export interface TestProcess extends AsyncDisposable {
  /** The next line of its output; undefined when it has ended. */
  nextLine(): Promise<string | undefined>;
  /** kill -9; resolves with the lines that it had printed and nobody had read. */
  kill(): Promise<readonly string[]>;
}

export function startProcess(program: string, ...args: readonly string[]): TestProcess {
  const child: ChildProcess = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.stdout === null) throw new Error('The process has no output.');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const gone = once(child, 'close');
  const nextLine = async (): Promise<string | undefined> => {
    const { done, value } = await lines.next();
    return done === true ? undefined : value;
  };
  const kill = async (): Promise<readonly string[]> => {
    child.kill('SIGKILL');
    const rest: string[] = [];
    for (let line = await nextLine(); line !== undefined; line = await nextLine()) rest.push(line);
    await gone;
    return rest;
  };
  return {
    nextLine,
    kill,
    [Symbol.asyncDispose]: async () => {
      await kill();
    },
  };
}
