import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test, vi } from 'vitest';
import { outputOf } from '../../../src/sandbox-providers/docker/host-script.ts';
import { until } from '../../until.ts';

const noFiles = join(import.meta.dirname, 'no-files-process.ts');

afterEach(() => void vi.unstubAllEnvs());

const run = async (script: string, signal = new AbortController().signal): Promise<string> =>
  await outputOf(script, { args: ['one', 'two words'], signal, mostBytes: 1_000 });

test('what a script prints, whatever it complains of and however it ends', async () => {
  expect(await run('echo "$2"; echo no >&2; exit 3')).toBe('two words\n');
});

test('a script that prints too much is ended', async () => {
  await expect(run('yes')).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
});

test('one that nobody waits for any more is ended with all that it has started', async () => {
  const leaving = new AbortController();
  const folder = await mkdtemp(join(tmpdir(), 'caisson-script-'));
  const waiting = run(
    `sleep 300 & echo $! > ${folder}/new; mv ${folder}/new ${folder}/pid; wait; echo`,
    leaving.signal,
  );
  const pid = Number(
    await until('it runs', async () => await readFile(join(folder, 'pid'), 'utf8').catch(() => undefined)),
  );
  leaving.abort(new Error('left'));
  await expect(waiting).rejects.toThrow('left');
  await until('it is gone', async () => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tZ');
    return /^State:\tZ/m.test(status);
  });
  await rm(folder, { recursive: true });
});

test('where nothing can be run nothing is printed', async () => {
  vi.stubEnv('PATH', '/nonexistent');
  expect(await run('echo here')).toBe('');
});

test('where the process may open nothing more, that is what is said', async () => {
  const { stdout } = await promisify(execFile)('sh', ['-c', 'ulimit -n 64; exec "$0" "$1"', process.execPath, noFiles]);
  expect(stdout).toBe('EMFILE\n');
});
