import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { AgentId } from '../../src/kernel/ids.ts';
import { sandboxProviderContract, type SandboxProviderSubject } from '../contracts/sandbox-provider.ts';
import { signalGroup } from '../doubles/process-group.ts';
import { ProcessProvider } from '../doubles/process-provider.ts';
import { until } from '../until.ts';

const echoGuest = fileURLToPath(new URL('../doubles/echo-guest.ts', import.meta.url));

async function openProcesses(): Promise<SandboxProviderSubject> {
  const root = await mkdtemp(join(tmpdir(), 'caisson-test-'));
  const images = {
    echo: [process.execPath, echoGuest],
    otherEcho: [process.execPath, echoGuest, 'other'],
    unstartable: [join(root, 'no-such-program')],
  } as const;
  const provider = new ProcessProvider({ root, images });
  const leader = async (agentId: AgentId): Promise<number> => Number((await provider.find(agentId))?.providerId);
  return {
    provider,
    unreachable: new ProcessProvider({ root: join(root, 'missing'), images }),
    images: { echo: 'echo', otherEcho: 'otherEcho', unstartable: 'unstartable', missing: 'no-such-image' },
    run: (agentId, command) => runInGuest(join(provider.directory(agentId), 'run', 'shell.sock'), command),
    async remains(agentId) {
      return existsSync(provider.directory(agentId)) ? [provider.directory(agentId)] : [];
    },
    async processIds(agentId) {
      return groupMembers(await leader(agentId));
    },
    async kill(agentId) {
      signalGroup(await leader(agentId), 'SIGKILL');
    },
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]();
      await rm(root, { recursive: true });
    },
  };
}

async function runInGuest(socketPath: string, command: string): Promise<string> {
  const socket = await until('the guest listens', async () => {
    const connection = createConnection({ path: socketPath, allowHalfOpen: true });
    try {
      await once(connection, 'connect');
      return connection;
    } catch {
      return undefined; // not there, or bound and not listening yet
    }
  });
  socket.end(command);
  const { code, stdout } = z.object({ code: z.number(), stdout: z.string() }).parse(JSON.parse(await text(socket)));
  if (code !== 0) throw new Error(`${command}: exit code ${code}`);
  return stdout;
}

async function groupMembers(group: number): Promise<number[]> {
  const members: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => ''); // it has ended since
    if (stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2] === String(group)) members.push(Number(name));
  }
  return members;
}

sandboxProviderContract('the process double', openProcesses);
