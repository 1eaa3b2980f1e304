import { connect as connectHttp2 } from 'node:http2';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentId } from '../../../src/kernel/ids.ts';
import { guestEnvironment, guestHealthSchema, guestPaths } from '../../../src/wire/contract/guest-api.ts';
import { openDocker, type DockerSubject } from './docker-subject.ts';
import { execIn, type Executed } from './exec-in.ts';

const mebibyte = 1024 ** 2;

describe('seen from inside, a Docker sandbox', () => {
  let subject: DockerSubject;
  let agentId: AgentId;

  beforeAll(async () => {
    subject = await openDocker();
    ({ agentId } = await subject.provider.ensureRunning(subject.newSpec()));
  }, 300_000);

  afterAll(async () => {
    await subject[Symbol.asyncDispose]();
  });

  const shell = (command: string): Promise<Executed> => execIn(subject.docker, agentId, ['sh', '-c', command]);
  const javaScript = (code: string): Promise<Executed> => execIn(subject.docker, agentId, ['node', '-e', code]);

  test('is an ordinary user without any capability, and cannot gain one', async () => {
    expect((await shell('id -u; id -g')).stdout).toBe('1000\n1000\n');
    const status = (await shell('cat /proc/self/status /proc/1/status')).stdout;
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      expect(status.match(new RegExp(`^${set}:\\s+0+$`, 'gm'))).toHaveLength(2);
    }
    expect(status.match(/^NoNewPrivs:\s+1$/gm)).toHaveLength(2);
    expect(status.match(/^Seccomp:\s+2$/gm)).toHaveLength(2);
  });

  test('can write its workspace, its home and /tmp, and nothing else', async () => {
    for (const place of ['/workspace', '/home/agent', '/tmp', '/run/caisson']) {
      expect(await shell(`echo x > ${place}/probe && rm ${place}/probe`)).toMatchObject({ code: 0 });
    }
    const root = await shell(
      'for d in / /etc /usr /usr/local/bin /opt /var /var/tmp /root /run /proc/sys; do touch $d/x 2>/dev/null && echo $d; done; true',
    );
    expect(root).toMatchObject({ code: 0, stdout: '' });
    expect((await shell(`awk '$2 == "/" { print $4 }' /proc/mounts`)).stdout).toMatch(/^ro,/);
  });

  test('runs programs from /tmp, which is small and is not kept', async () => {
    expect((await shell('cp /bin/echo /tmp/e && /tmp/e ran')).stdout).toBe('ran\n');
    expect((await shell('df -P -B1 /tmp | tail -1')).stdout.split(/\s+/)[1]).toBe(String(96 * mebibyte));
    expect((await shell('stat -c %a /tmp /run/caisson')).stdout).toBe('1777\n700\n');
  });

  test('has no network but loopback, no route and no names', async () => {
    const interfaces = (await shell('cat /proc/net/dev')).stdout.split('\n').slice(2).filter(Boolean);
    expect(interfaces.map((line) => line.trim().split(':')[0])).toEqual(['lo']);
    expect((await shell('tail -n +2 /proc/net/route; cat /proc/net/ipv6_route | grep -v " lo$"; true')).stdout).toBe(
      '',
    );
    // A documentation address, the metadata service, Docker's bridge, and a name: each refused by the sandbox's own kernel.
    const attempt = `
      const codes = [];
      const net = require('net'), dns = require('dns');
      const dial = (host) => new Promise((done) => net.connect(80, host).on('error', (e) => done(e.code)).on('connect', () => done('CONNECTED')));
      (async () => {
        for (const host of ['192.0.2.1', '169.254.169.254', '172.17.0.1', '2001:db8::1']) codes.push(await dial(host));
        codes.push(await new Promise((done) => dns.lookup('example.com', (e) => done(e?.code))));
        console.log(codes.join(' '));
      })();`;
    expect((await javaScript(attempt)).stdout.trim()).toMatch(
      /^(ENETUNREACH|EADDRNOTAVAIL) (ENETUNREACH|EADDRNOTAVAIL) (ENETUNREACH|EADDRNOTAVAIL) (ENETUNREACH|EADDRNOTAVAIL) (EAI_AGAIN|ENOTFOUND)$/,
    );
  });

  test('opens no sockets but those of files, of loopback, and of asking about it: none to the machine around', async () => {
    const attempt = `
import socket
opened = set()
for family in range(64):
    for kind in (1, 2, 3, 5):
        try:
            socket.socket(family, kind).close()
            opened.add(family)
        except OSError:
            pass
print(*sorted(opened))`;
    const { stdout } = await execIn(subject.docker, agentId, ['python3', '-c', attempt]);
    expect(stdout).toBe('1 2 10 16\n');
  });

  test('makes no namespace, and no ring, key or program of the kernel', async () => {
    // unshare, clone3, io_uring_setup, bpf, userfaultfd, add_key, open_by_handle_at: by what the kernel said.
    const attempt = `
import ctypes, errno, platform
libc = ctypes.CDLL(None, use_errno=True)
numbers = {'x86_64': (272, 435, 425, 321, 323, 248, 304), 'aarch64': (97, 435, 425, 280, 282, 217, 265)}
codes = []
for number in numbers[platform.machine()]:
    codes.append('made' if libc.syscall(number, 0x10000000, 0, 0, 0, 0) >= 0 else errno.errorcode[ctypes.get_errno()])
print(*codes)`;
    const { stdout } = await execIn(subject.docker, agentId, ['python3', '-c', attempt]);
    expect(stdout).toBe('EPERM ENOSYS EPERM EPERM EPERM EPERM EPERM\n');
  });

  test("sees neither the engine nor the machine's processes", async () => {
    expect((await shell('ls /var/run/docker.sock /run/docker.sock 2>/dev/null')).stdout).toBe('');
    const processes = (await shell('cat /proc/[0-9]*/comm')).stdout;
    expect(processes).not.toContain('dockerd');
    expect((await shell('hostname')).stdout).toBe('sandbox\n');
  });

  test('cannot have more processes than its limit', async () => {
    const spec = subject.newSpec();
    await subject.provider.ensureRunning(spec);
    const many = 'i=0; while [ $i -lt 200 ]; do sleep 60 >/dev/null 2>&1 & i=$((i+1)); done';
    const { code, stderr } = await execIn(subject.docker, spec.agentId, ['sh', '-c', many]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('fork');
    const running = (await subject.processIds(spec.agentId)).length;
    expect(running).toBeGreaterThan(20);
    expect(running).toBeLessThanOrEqual(spec.limits.pids);
  });

  test('cannot have more memory than its limit', async () => {
    const greedy = await javaScript('const a = []; for (;;) a.push(Buffer.alloc(8 * 1024 * 1024, 1))');
    expect(greedy.code).toBe(137);
    expect((await shell('echo alive')).stdout).toBe('alive\n');
  });

  test('cannot have more processor than its limit', async () => {
    const { HostConfig: host } = await subject.docker.getContainer(agentId).inspect();
    expect(host.NanoCpus).toBe(0.5e9);
    const quota = await shell(
      'cat /sys/fs/cgroup/cpu.max 2>/dev/null || cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us',
    );
    expect(quota.stdout.trim().split(/\s+/).map(Number)).toEqual([50_000, 100_000]);
  });

  test("holds the real guest, which answers through the provider's stream", async () => {
    const limits = { cpus: 1, memoryBytes: 1024 * mebibyte, pids: 256 };
    const spec = subject.newSpec({ image: subject.images.sandbox, limits });
    const environment = { [guestEnvironment.agentId]: spec.agentId };
    await subject.provider.ensureRunning({ ...spec, environment });
    const stream = await subject.provider.connect(spec.agentId, 'inward');
    const session = connectHttp2('http://guest', { createConnection: () => stream });
    const health = JSON.parse(await text(session.request({ ':path': guestPaths.health })));
    expect(guestHealthSchema.parse(health)).toMatchObject({ agentId: spec.agentId });
    session.destroy();
  });
});
