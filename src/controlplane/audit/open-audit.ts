import type { Clock } from '../../kernel/clock.ts';
import type { Logger } from '../../kernel/logger.ts';
import { type AuditHealth, AuditLog } from './audit-log.ts';
import { AuditService } from './audit-service.ts';
import type { AuditStore } from './audit-store.ts';
import { AuditTrail } from './audit-trail.ts';
import { HeadNotes } from './head-notes.ts';
import { Retention } from './retention.ts';

interface AuditOptions {
  readonly store: AuditStore;
  /** Resolves when all that is stored outlives a power cut. */
  readonly flushed: () => Promise<void>;
  /** How long records are kept, in milliseconds. */
  readonly keepMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The audit of a control plane. To be disposed after all that records, and before its store. */
export interface Audit extends AsyncDisposable {
  readonly trail: AuditTrail;
  readonly service: AuditService;
  readonly retention: Retention;
  readonly health: AuditHealth;
}

/** Opens the audit, and records what an earlier control plane left under way. */
export async function openAudit({ store, flushed, keepMs, clock, logger }: AuditOptions): Promise<Audit> {
  const log = await AuditLog.open({ store, flushed, clock, logger });
  const trail = new AuditTrail({ log, store, flushed, clock, logger });
  await trail.recover();
  const notes = new HeadNotes({ log, clock, logger });
  notes.start();
  const retention = await Retention.open({ log, store, keepMs, clock, logger });
  retention.start();
  return {
    trail,
    service: new AuditService({ log, store, retention }),
    retention,
    get health() {
      return log.health;
    },
    [Symbol.asyncDispose]: async () => {
      await retention[Symbol.asyncDispose]();
      await trail[Symbol.asyncDispose]();
      notes[Symbol.dispose]();
    },
  };
}
