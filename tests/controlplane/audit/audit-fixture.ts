import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { type Audit, openAudit } from '../../../src/controlplane/audit/open-audit.ts';
import type { AuditCall } from '../../../src/controlplane/audit/record.ts';
import { openStorage, type Storage } from '../../../src/controlplane/storage/open-storage.ts';
import { type Clock, systemClock } from '../../../src/kernel/clock.ts';
import { newAgentId, newKeyId, newUserId } from '../../../src/kernel/ids.ts';
import { type Logger, silentLogger } from '../../../src/kernel/logger.ts';
import { dataDirectory } from '../storage/data-directory.ts';

export const year = 365 * 86_400_000;

/** An audit in a real store, which can be closed, tampered with, and opened again. */
export class AuditFixture implements AsyncDisposable {
  readonly directory = dataDirectory();
  #opened: { readonly storage: Storage; readonly audit: Audit } | undefined;

  async open(
    clock: Clock = systemClock,
    keepMs = year,
    logger: Logger = silentLogger,
  ): Promise<{ storage: Storage; audit: Audit }> {
    const storage = await openStorage(this.directory.path);
    const flushed = (): Promise<void> => storage.flushed();
    const audit = await openAudit({ store: storage.audit, flushed, keepMs, clock, logger });
    this.#opened = { storage, audit };
    return this.#opened;
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.audit[Symbol.asyncDispose]();
    await opened?.storage.close();
  }

  /** As somebody who can write to the database, with the control plane stopped. */
  async tamper(...statements: readonly string[]): Promise<void> {
    await this.close();
    const database = new DatabaseSync(join(this.directory.path, 'caisson.db'));
    database.exec('drop trigger audit_records_stay; drop trigger audit_records_last');
    for (const statement of statements) database.exec(statement);
    database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    this.directory[Symbol.dispose]();
  }
}

export function aCall(change: Partial<AuditCall> = {}): AuditCall {
  const agentId = newAgentId();
  return {
    action: 'agents.delete',
    userId: newUserId(),
    userName: 'ada',
    keyId: newKeyId(),
    agentId,
    targets: [agentId],
    details: {},
    address: '127.0.0.1',
    requestId: 'a-request',
    ...change,
  };
}

export async function recordSome(audit: Audit, count: number): Promise<void> {
  for (let each = 0; each < count; each++) await (await audit.trail.begin(aCall())).end({ outcome: 'ok' });
}
