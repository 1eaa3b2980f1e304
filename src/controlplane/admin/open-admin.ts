import type { AgentStore } from '../../agents/ports.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { SandboxProvider } from '../../sandbox-providers/contract/index.ts';
import type { IdentityStore } from '../auth/identity.ts';
import type { DiskBook } from '../disk/disk-book.ts';
import type { HostDisk } from '../disk/host-disk.ts';
import type { EgressLogStore } from '../egress/log/egress-log.ts';
import type { ModelUsageStore } from '../model-gateway/model-usage.ts';
import { KnownSandboxes } from './known-sandboxes.ts';
import { SystemOverview } from './overview.ts';
import type { usageOfUsers } from './usage-of-users.ts';

interface AdminOptions {
  readonly version: string;
  readonly provider: SandboxProvider;
  readonly storage: {
    readonly agents: AgentStore;
    readonly identities: IdentityStore;
    readonly modelUsage: ModelUsageStore;
    readonly egressLog: EgressLogStore;
  };
  readonly disks: DiskBook;
  readonly hostDisk: HostDisk;
  /** Stops the sandbox of an agent, for a reason that its log tells. */
  readonly stop: (agentId: AgentId, reason: string) => Promise<void>;
  /** The same, and removes it: nothing starts it in between. */
  readonly remove: (agentId: AgentId, reason: string) => Promise<void>;
  readonly pendingEgress: () => readonly unknown[];
}

/** What administrators and auditors see of everyone. */
export interface Admin {
  readonly sandboxes: KnownSandboxes;
  readonly overview: SystemOverview;
  readonly usage: Parameters<typeof usageOfUsers>[0];
}

export function openAdmin(options: AdminOptions): Admin {
  const { version, provider, storage, disks, hostDisk, stop, remove, pendingEgress } = options;
  const { agents, identities, modelUsage, egressLog } = storage;
  return {
    sandboxes: new KnownSandboxes({ provider, agents, identities, disks, stop, remove }),
    overview: new SystemOverview({ version, provider, hostDisk, disks, agents, pendingEgress }),
    usage: { agents, identities, disks, modelUsage, egressLog },
  };
}
