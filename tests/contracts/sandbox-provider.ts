import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import { type AgentId, newAgentId } from '../../src/kernel/ids.ts';
import { byteStreamContract } from './sandbox-provider/byte-streams.ts';
import { diskContract } from './sandbox-provider/disk.ts';
import { lifeCycleContract } from './sandbox-provider/life-cycle.ts';
import type { ContractContext, SandboxProviderSubject } from './sandbox-provider/subject.ts';

export type { SandboxProviderSubject } from './sandbox-provider/subject.ts';

export { byteStreamContract, diskContract };

/** The behaviour that every sandbox provider has, or a part of it. */
export function sandboxProviderContract(
  name: string,
  open: () => Promise<SandboxProviderSubject>,
  parts: readonly ((context: ContractContext) => void)[] = [lifeCycleContract, byteStreamContract, diskContract],
): void {
  describe(`${name} keeps the sandbox provider contract`, () => {
    let opened: SandboxProviderSubject | undefined;
    const agents: AgentId[] = [];

    const context: ContractContext = {
      get subject() {
        if (!opened) throw new Error('The provider is not open.');
        return opened;
      },
      get provider() {
        return context.subject.provider;
      },
      newSpec(changes = {}) {
        const agentId = newAgentId();
        agents.push(agentId);
        return {
          agentId,
          image: context.subject.images.echo,
          limits: { cpus: 1, memoryBytes: 256 * 1024 ** 2, pids: 64 },
          environment: { CAISSON_AGENT_ID: agentId },
          ...changes,
        };
      },
      async runningAgent() {
        return (await context.provider.ensureRunning(context.newSpec())).agentId;
      },
    };

    beforeAll(async () => {
      opened = await open();
    }, 300_000);

    afterEach(async () => {
      for (const agentId of agents.splice(0)) await context.provider.destroy(agentId);
    });

    afterAll(async () => {
      await opened?.[Symbol.asyncDispose]();
    });

    for (const part of parts) part(context);
  });
}
