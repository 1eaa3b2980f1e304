import { mkdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentStore } from '../../agents/ports.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AuditStore } from '../audit/audit-store.ts';
import type { IdentityStore } from '../auth/identity.ts';
import type { ShareStore } from '../auth/sharing.ts';
import type { LoginStore } from '../login/login-store.ts';
import type { ModelCallers } from '../model-gateway/callers.ts';
import type { ModelUsageStore } from '../model-gateway/model-usage.ts';
import type { DiskStore } from '../disk/disk-store.ts';
import type { EgressLogStore } from '../egress/log/egress-log.ts';
import type { EgressPolicyStore } from '../egress/policy/policy.ts';
import type { SecretStore } from '../egress/secrets/secret.ts';
import type { PreviewStore } from '../previews/preview.ts';
import type { LedgerStore } from '../quotas/ledger-store.ts';
import type { QuotaStore } from '../quotas/quota-store.ts';
import { createAgentStore } from './agent-store.ts';
import { createDiskStore } from './disk-store.ts';
import { createEgressLogStore } from './egress-log-store.ts';
import { createEgressPolicyStore } from './egress-policy-store.ts';
import { createAuditStore } from './audit-store.ts';
import { createIdentityStore } from './identity-store.ts';
import { createLedgerStore } from './ledger-store.ts';
import { createLoginStore } from './login-store.ts';
import { createModelCallers } from './model-callers.ts';
import { createModelUsageStore } from './model-usage-store.ts';
import { createPreviewStore } from './preview-store.ts';
import { createSecretStore } from './secret-store.ts';
import { createShareStore } from './share-store.ts';
import { createQuotaStore } from './quota-store.ts';
import { takeInstanceLock } from './instance-lock.ts';
import { madeAt } from './migrator.ts';
import { openSqlite } from './open-sqlite.ts';
import { SqliteLog } from './sqlite-log.ts';
import { StorageAccess } from './storage-access.ts';

export interface Storage {
  readonly agents: AgentStore;
  readonly identities: IdentityStore;
  readonly logins: LoginStore;
  readonly shares: ShareStore;
  readonly previews: PreviewStore;
  readonly ledger: LedgerStore;
  readonly quotas: QuotaStore;
  readonly modelUsage: ModelUsageStore;
  readonly modelCallers: ModelCallers;
  readonly egressPolicies: EgressPolicyStore;
  readonly egressLog: EgressLogStore;
  readonly secrets: SecretStore;
  readonly audit: AuditStore;
  readonly disks: DiskStore;
  /** When the database was made, in milliseconds since the epoch: which agents there were before is not known. */
  readonly madeAt: number;
  /** As that of `agents`, for all stores. */
  flushed(): Promise<void>;
  /** Resolves, never rejects, when the disk has failed for good: only a new start can tell what it holds. */
  readonly failed: Promise<CaissonError>;
  /** Rejects while nothing can be stored, or what is stored goes into a file that is not in its place any more. */
  checkHealth(): Promise<void>;
  /** Waits for what was asked before, then lets the data directory go. Every later call rejects with DRAINING. */
  close(): Promise<void>;
}

interface StorageOptions {
  /** Called after each flush with how long the disk took for it, in milliseconds. Default: nobody counts. */
  readonly onFlush?: (ms: number) => void;
}

/**
 * Opens the embedded store in `directory`. What it makes there only its user can read: the directory has mode 700 (one
 * that exists keeps its mode), the files 600.
 * Errors: CONFIG_INVALID when another control plane uses the directory, or a newer version of Caisson wrote it.
 */
export async function openStorage(
  directory: string,
  { onFlush = () => undefined }: StorageOptions = {},
): Promise<Storage> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  await using undo = new AsyncDisposableStack();
  const file = join(directory, 'caisson.db');
  const lock = undo.use(takeInstanceLock(directory, file));
  const db = await openSqlite(file);
  undo.defer(() => db.destroy());
  const made = await madeAt(db);
  const place = await placeOf(file);
  undo.move();
  const writeAheadLog = new SqliteLog(file);
  const access = new StorageAccess(db, async () => {
    const began = performance.now();
    try {
      await writeAheadLog.sync();
    } finally {
      onFlush(performance.now() - began);
    }
  });
  return {
    agents: createAgentStore(access),
    identities: createIdentityStore(access),
    logins: createLoginStore(access),
    shares: createShareStore(access),
    previews: createPreviewStore(access),
    ledger: createLedgerStore(access),
    quotas: createQuotaStore(access),
    modelUsage: createModelUsageStore(access),
    modelCallers: createModelCallers(access),
    egressPolicies: createEgressPolicyStore(access),
    egressLog: createEgressLogStore(access),
    secrets: createSecretStore(access),
    audit: createAuditStore(access),
    disks: createDiskStore(access),
    madeAt: made,
    flushed: async () => await access.flushed(),
    failed: access.failed,
    checkHealth: async () => {
      if ((await placeOf(file).catch(() => undefined)) !== place) throw movedAway(file);
      await access.checkHealth();
    },
    close: async () => {
      await access.close();
      await writeAheadLog.close();
      lock[Symbol.dispose]();
    },
  };
}

/** What tells the file at this path from any other that may come in its place. */
async function placeOf(file: string): Promise<bigint> {
  return (await stat(file, { bigint: true })).ino;
}

/** What is written goes into a file that nobody finds any more. */
function movedAway(file: string): CaissonError {
  return new CaissonError('STORAGE_UNAVAILABLE', `${file} was removed or replaced while it is in use.`, {
    hint: 'Bring it back, or stop Caisson and restore the data directory from a backup.',
  });
}
