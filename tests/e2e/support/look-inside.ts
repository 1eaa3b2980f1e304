import { text } from 'node:stream/consumers';
import type { AgentId } from '../../../src/kernel/ids.ts';
import type { SandboxProvider } from '../../../src/sandbox-providers/contract/index.ts';
import { GuestClient } from '../../../src/wire/guest-client.ts';

export interface Seen {
  readonly exitCode: number | null;
  readonly stdout: string;
}

/** Runs a command in an agent's sandbox over a wire of its own, past the control plane. */
export async function lookInside(
  provider: SandboxProvider,
  agentId: AgentId,
  command: readonly string[],
): Promise<Seen> {
  const guest = new GuestClient(await provider.connect(agentId, 'inward'));
  try {
    const process = await guest.exec({ command: [...command], cwd: '/workspace' });
    process.stdin.end();
    const stdout = await text(process.stdout);
    const { exitCode } = await process.result;
    return { exitCode, stdout };
  } finally {
    await guest.close();
  }
}

/** Whether a process runs in the sandbox whose command line matches. */
export async function runsInside(provider: SandboxProvider, agentId: AgentId, pattern: string): Promise<boolean> {
  return (await lookInside(provider, agentId, ['pgrep', '-f', pattern])).exitCode === 0;
}
