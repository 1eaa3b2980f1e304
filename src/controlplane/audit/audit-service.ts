import type { Page, PageRequest } from '../../agents/ports.ts';
import type { AuditLog } from './audit-log.ts';
import type { AuditFilter, AuditStore } from './audit-store.ts';
import { type ChainHead, genesis } from './chain.ts';
import type { AuditRecord } from './record.ts';
import type { Retention } from './retention.ts';
import { type Verification, verifyChain } from './verify.ts';

interface AuditServiceOptions {
  readonly log: Pick<AuditLog, 'head' | 'settled'>;
  readonly store: Pick<AuditStore, 'search' | 'readLinks' | 'findLastBody'>;
  readonly retention: Pick<Retention, 'hold'>;
}

/** Rows that an export reads at a time. */
const linksTogether = 500;

/** What auditors do with the audit: they see all that was over before they asked. Asks nobody: who calls it has. */
export class AuditService {
  readonly #options: AuditServiceOptions;

  constructor(options: AuditServiceOptions) {
    this.#options = options;
  }

  async search(filter: AuditFilter, page: PageRequest): Promise<Page<AuditRecord>> {
    await this.#options.log.settled();
    return await this.#options.store.search(filter, page);
  }

  /** Walks the whole chain, as it was when this was called. `known`: a head that was noted down earlier. */
  async verify(known?: ChainHead): Promise<Verification> {
    const { log, store, retention } = this.#options;
    await log.settled();
    using _hold = await retention.hold();
    return await verifyChain(store, log.head, known);
  }

  /**
   * The records after `after` as they lie there, up to the one that is the last now, oldest first: one line of JSON each,
   * `{"hash":…,"previous":…,"record":…}`. `hash` is the SHA-256 of `previous`, a line feed, and the text of `record` as it
   * stands in the line. Of the first line `previous` is null where the record before it is not kept.
   */
  async *export(after: number): AsyncGenerator<string, void, undefined> {
    const { log, store, retention } = this.#options;
    await log.settled();
    using _hold = await retention.hold();
    const { seq: end } = log.head;
    const [before] = after > 0 ? await store.readLinks(after - 1, 1) : [genesis];
    let last = before?.seq === after ? before : undefined;
    for (let links = await store.readLinks(after, linksTogether); links.length > 0;) {
      let text = '';
      for (const link of links) {
        if (link.seq > end) break;
        const previous = last?.seq === link.seq - 1 ? `"${last.hash}"` : 'null';
        text += `{"hash":${JSON.stringify(link.hash)},"previous":${previous},"record":${link.body}}\n`;
        last = link;
      }
      if (text !== '') yield text;
      const read = links.at(-1)?.seq ?? end;
      links = read >= end ? [] : await store.readLinks(read, linksTogether);
    }
  }
}
