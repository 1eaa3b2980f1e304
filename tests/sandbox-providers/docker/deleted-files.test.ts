import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AgentId } from '../../../src/kernel/ids.ts';
import { until } from '../../until.ts';
import { type DockerSubject, openDocker } from './docker-subject.ts';

const mebibyte = 1024 ** 2;
let subject: DockerSubject;
let agentId: AgentId;

beforeAll(async () => {
  subject = await openDocker();
  ({ agentId } = await subject.provider.ensureRunning(subject.newSpec()));
}, 300_000);
afterAll(() => subject[Symbol.asyncDispose]());

const used = async (): Promise<number> => (await subject.provider.measureDisk(agentId)).usedBytes;

test('a file without a name counts as long as a process holds it, and once however many do', async () => {
  const before = await used();
  const sleep = 'sleep 300 >/dev/null 2>&1 & echo $!';
  const hold = `exec 3>gone; rm gone; head -c 8388608 /dev/zero >&3; ${sleep}; ${sleep}`;
  const pids = (await subject.run(agentId, hold)).trim().split('\n');
  const held = (await used()) - before;
  expect(held).toBeGreaterThanOrEqual(8 * mebibyte);
  expect(held).toBeLessThan(10 * mebibyte);
  await subject.run(agentId, `kill ${pids.join(' ')}`);
  await until('it is free', async () => (await used()) - before < mebibyte);
});

/** Maps a file of 8 MiB, writes it, and holds nothing but the mapping. */
const mapping = `
import ctypes, os, time
size = 8 << 20
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
file = os.open('mapped', os.O_RDWR | os.O_CREAT)
os.ftruncate(file, size)
place = libc.mmap(None, size, 3, 1, file, 0)
ctypes.memset(place, 1, size)
os.fsync(file)
os.close(file)
os.unlink('mapped')
open('ready', 'w').close()
time.sleep(300)
`;

test('so does one that is only mapped', async () => {
  const before = await used();
  const pid = (await subject.run(agentId, `python3 -c "${mapping}" >/dev/null 2>&1 & echo $!`)).trim();
  await until('it is mapped', async () => (await subject.run(agentId, 'ls')).includes('ready'));
  expect((await used()) - before).toBeGreaterThanOrEqual(8 * mebibyte);
  await subject.run(agentId, `kill ${pid}`);
  await until('it is free', async () => (await used()) - before < mebibyte);
});
