import type { AgentId } from '../../../src/kernel/ids.ts';
import type { SandboxProvider, SandboxSpec } from '../../../src/sandbox-providers/contract/index.ts';

/** A provider, and the ways to look at its sandboxes that do not go through it. */
export interface SandboxProviderSubject extends AsyncDisposable {
  readonly provider: SandboxProvider;
  /** The same provider where no engine answers. */
  readonly unreachable: SandboxProvider;
  /** The first two run `tests/doubles/echo-guest.ts`; the third exists but cannot be started. */
  readonly images: Readonly<Record<'echo' | 'otherEcho' | 'unstartable' | 'missing', string>>;
  /** Runs a shell command in the workspace; rejects unless it exits with 0. */
  run(agentId: AgentId, command: string): Promise<string>;
  /** Names of everything that the engine still has under this key. */
  remains(agentId: AgentId): Promise<readonly string[]>;
  /** Process ids on this machine of everything that runs in the sandbox. */
  processIds(agentId: AgentId): Promise<readonly number[]>;
  /** Ends the sandbox without the provider, as a crash would. */
  kill(agentId: AgentId): Promise<void>;
}

/** What the tests of the contract share. Its members are valid while a test runs. */
export interface ContractContext {
  readonly subject: SandboxProviderSubject;
  readonly provider: SandboxProvider;
  /** The spec of a new agent, which is destroyed after the test. */
  newSpec(changes?: Partial<SandboxSpec>): SandboxSpec;
  runningAgent(): Promise<AgentId>;
}
