import type { AgentId } from '../../../src/kernel/ids.ts';
import type { SandboxProvider } from '../../../src/sandbox-providers/contract/index.ts';
import { GuestClient } from '../../../src/wire/guest-client.ts';
import { run } from '../../guest/processes/outputs.ts';

/**
 * Runs a shell script in an agent's sandbox, past the control plane, and resolves with what came of it. `input` is its
 * standard input.
 */
export async function inside(
  provider: SandboxProvider,
  agentId: AgentId,
  script: string,
  input = '',
): Promise<{ readonly exitCode: number | null; readonly stdout: string; readonly stderr: string }> {
  const client = new GuestClient(await provider.connect(agentId, 'inward'));
  try {
    const { exitCode, output, stderr } = await run(client, ['bash', '-c', script], input);
    return { exitCode, stdout: output, stderr };
  } finally {
    await client.close();
  }
}
