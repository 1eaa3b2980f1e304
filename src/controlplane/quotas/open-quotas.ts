import type { AgentStore } from '../../agents/ports.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Logger } from '../../kernel/logger.ts';
import { DiskBook } from '../disk/disk-book.ts';
import type { DiskStore } from '../disk/disk-store.ts';
import type { HostDisk } from '../disk/host-disk.ts';
import { AgentQuotas } from './agent-quotas.ts';
import type { LedgerStore } from './ledger-store.ts';
import type { Access } from '../auth/access.ts';
import type { IdentityStore } from '../auth/identity.ts';
import { QuotaBook } from './quota-book.ts';
import { QuotaDesk } from './quota-desk.ts';
import type { QuotaStore } from './quota-store.ts';
import { RequestRates } from './request-rates.ts';
import { StoredLedger } from './stored-ledger.ts';
import type { Limits } from './terms.ts';

interface QuotasOptions {
  readonly storage: {
    readonly agents: AgentStore;
    readonly identities: IdentityStore;
    readonly quotas: QuotaStore;
    readonly ledger: LedgerStore;
    readonly disks: DiskStore;
  };
  readonly access: Access;
  readonly settings: {
    /** Of users without a plan. */
    readonly defaultLimits: Limits;
    /** Requests a minute of one key; null = unlimited. */
    readonly requestsPerKey: number | null;
    /** Of an agent that was made without a limit of its disk; null = unlimited. */
    readonly diskBytes: number | null;
  };
  /** Default: no disk of the machine is looked at. */
  readonly host?: HostDisk | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Who may use how much, what they have used, and the places where that is asked. */
export interface OpenQuotas extends Disposable {
  readonly book: QuotaBook;
  readonly ledger: StoredLedger;
  readonly rates: RequestRates;
  readonly disks: DiskBook;
  readonly desk: QuotaDesk;
  /** For the domain. */
  readonly ofAgents: AgentQuotas;
}

export async function openQuotas({
  storage,
  access,
  settings,
  host,
  clock,
  logger,
}: QuotasOptions): Promise<OpenQuotas> {
  const book = new QuotaBook({ store: storage.quotas, agents: storage.agents, defaults: settings.defaultLimits });
  const ledger = await StoredLedger.open({ store: storage.ledger, terms: book, clock, logger });
  const disks = await DiskBook.open({
    store: storage.disks,
    agents: storage.agents,
    terms: book,
    defaultLimitBytes: settings.diskBytes,
    clock,
  });
  return {
    book,
    ledger,
    rates: new RequestRates({ terms: book, perKey: settings.requestsPerKey, clock }),
    disks,
    desk: new QuotaDesk({ book, ledger, disks, agents: storage.agents, identities: storage.identities, access }),
    ofAgents: new AgentQuotas({ terms: book, ledger, disks, host }),
    [Symbol.dispose]: () => ledger[Symbol.dispose](),
  };
}
