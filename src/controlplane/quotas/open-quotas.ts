import type { AgentStore } from '../../agents/ports.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Logger } from '../../kernel/logger.ts';
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
  };
  readonly access: Access;
  readonly settings: {
    /** Of users without a plan. */
    readonly defaultLimits: Limits;
    /** Requests a minute of one key; null = unlimited. */
    readonly requestsPerKey: number | null;
  };
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Who may use how much, what they have used, and the places where that is asked. */
export interface OpenQuotas extends Disposable {
  readonly book: QuotaBook;
  readonly ledger: StoredLedger;
  readonly rates: RequestRates;
  readonly desk: QuotaDesk;
  /** For the domain. */
  readonly ofAgents: AgentQuotas;
}

export async function openQuotas({ storage, access, settings, clock, logger }: QuotasOptions): Promise<OpenQuotas> {
  const book = new QuotaBook({ store: storage.quotas, agents: storage.agents, defaults: settings.defaultLimits });
  const ledger = await StoredLedger.open({ store: storage.ledger, terms: book, clock, logger });
  return {
    book,
    ledger,
    rates: new RequestRates({ terms: book, perKey: settings.requestsPerKey, clock }),
    desk: new QuotaDesk({ book, ledger, agents: storage.agents, identities: storage.identities, access }),
    ofAgents: new AgentQuotas({ terms: book, ledger }),
    [Symbol.dispose]: () => ledger[Symbol.dispose](),
  };
}
