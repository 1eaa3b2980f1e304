import type { Agent } from '../../agents/agent.ts';
import type { SandboxSpec } from '../../sandbox-providers/contract/index.ts';
import { guestEnvironment } from '../../wire/contract/guest-api.ts';
import type { Config } from '../config.ts';

/** The sandbox that an agent has: by its own limits, and with the model of the settings where it has none. */
export function sandboxSpec(agent: Agent, config: Pick<Config, 'sandbox' | 'model'>): SandboxSpec {
  return {
    agentId: agent.id,
    image: config.sandbox.image,
    limits: agent.limits,
    environment: {
      [guestEnvironment.agentId]: agent.id,
      [guestEnvironment.harness]: agent.harness,
      [guestEnvironment.model]: agent.model ?? config.model.name,
    },
  };
}
