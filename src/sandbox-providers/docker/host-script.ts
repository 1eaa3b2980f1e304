import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { CaissonError } from '../../kernel/errors.ts';

interface HostScriptOptions {
  readonly args: readonly string[];
  readonly signal: AbortSignal;
  /** More of it is LIMIT_REACHED. */
  readonly mostBytes: number;
}

/**
 * What a script of `sh` prints on this machine, in one process behind all others: whatever has to look at thousands of files would
 * keep this one busy. Its complaints and its exit code are not heard: what it looks at may go meanwhile. Empty where it cannot be
 * run. Rejects with the signal's reason.
 */
export async function outputOf(script: string, { args, signal, mostBytes }: HostScriptOptions): Promise<string> {
  const child = spawn('nice', ['-n', '19', 'sh', '-c', script, 'sh', ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    detached: true, // a group of its own, which ends as a whole
  });
  const kill = (): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    process.kill(-child.pid, 'SIGKILL');
  };
  signal.addEventListener('abort', kill);
  try {
    await once(child, 'spawn'); // without it there may be no output to read
    if (signal.aborted) kill();
    const [output] = await Promise.all([read(child.stdout, mostBytes), once(child, 'close')]);
    signal.throwIfAborted();
    return output;
  } catch (thrown) {
    kill();
    signal.throwIfAborted();
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return '';
    throw thrown;
  } finally {
    signal.removeEventListener('abort', kill);
  }
}

async function read(stdout: AsyncIterable<Buffer>, mostBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdout) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new CaissonError('LIMIT_REACHED', `There is more than ${mostBytes} bytes of it.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
