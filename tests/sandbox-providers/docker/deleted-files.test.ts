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

/** Holds a file of 8 MiB in a thread of its own, whose open files are not those of its process. */
const ownTable = `
import ctypes, os, time
libc = ctypes.CDLL(None)
file = os.open('gone', os.O_RDWR | os.O_CREAT)
os.write(file, bytes(8 << 20))
os.unlink('gone')
stack = ctypes.create_string_buffer(1 << 16)
top = ctypes.c_void_p((ctypes.addressof(stack) + (1 << 16)) & ~15)
CLONE_VM, CLONE_FS, CLONE_SIGHAND, CLONE_THREAD = 0x100, 0x200, 0x800, 0x10000
libc.clone(libc.pause, top, CLONE_VM | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD, None)
os.close(file)
open('ready', 'w').close()
time.sleep(300)
`;

/** Holds one file of 4 MiB open and one mapped, in a process whose first thread has ended. */
const firstThreadEnds = `
import ctypes, mmap, os, platform, threading, time
def hold():
    file = os.open('gone', os.O_RDWR | os.O_CREAT)
    os.write(file, bytes(4 << 20))
    os.unlink('gone')
    other = os.open('mapped', os.O_RDWR | os.O_CREAT)
    os.write(other, bytes(4 << 20))
    os.fsync(other)
    kept = mmap.mmap(other, 4 << 20)
    os.close(other)
    os.unlink('mapped')
    while open('/proc/self/stat').read().rsplit(')', 1)[1].split()[0] != 'Z': time.sleep(0.01)
    open('ready', 'w').close()
    time.sleep(300)
threading.Thread(target=hold).start()
ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[platform.machine()], 0)
`;

test.each([
  ['a thread that has its own open files', ownTable],
  ['a process whose first thread has ended', firstThreadEnds],
])('%s hides nothing', async (_who, program) => {
  const before = await used();
  const pid = (await subject.run(agentId, `rm -f ready; python3 -c "${program}" >/dev/null 2>&1 & echo $!`)).trim();
  await until('it is held', async () => (await subject.run(agentId, 'ls')).includes('ready'));
  expect((await used()) - before).toBeGreaterThanOrEqual(8 * mebibyte);
  await subject.run(agentId, `kill -9 ${pid}`);
  await until('it is free', async () => (await used()) - before < mebibyte);
});
