import { setImmediate as endOfTurn } from 'node:timers/promises';
import { z } from 'zod';
import { canonicalJson } from './canonical-json.ts';
import type { AuditStore, StoredLink } from './audit-store.ts';
import { type ChainHead, genesis, linkHash } from './chain.ts';
import { pruneAction } from './record.ts';

/** Why a record does not fit: it is gone, it is not what was written, or it is not the one that was noted down. */
type BreakReason = 'missing' | 'altered' | 'replaced';

export interface Verification {
  /** The first record that does not fit; null: the chain is whole. */
  readonly broken: { readonly seq: number; readonly reason: BreakReason } | null;
  /** Records that fit. */
  readonly records: number;
  /** The last record that was written. Who notes it down elsewhere can have it compared later. */
  readonly head: ChainHead;
  /** Records up to here were forgotten by the retention; 0: none. */
  readonly prunedThrough: number;
  /** Whether the head that the caller noted down was found; null where it gave none, or its record was pruned. */
  readonly knownHeadFound: boolean | null;
}

/** Links that are read at a time: some milliseconds of hashing. */
const linksTogether = 500;

const anchorSchema = z.object({ details: z.object({ through: z.int().min(1), hash: z.string() }) });

/**
 * Walks the whole chain: each record must follow the one before, up to `head`, the last that was written. The oldest must
 * follow the beginning, or where the records before it were pruned, what the newest anchor in the chain says.
 *
 * Whoever can write to the database can also make a new chain from some record on. That shows only to who noted down a later
 * head before: `known`.
 */
export async function verifyChain(
  store: Pick<AuditStore, 'readLinks' | 'findLastBody'>,
  head: ChainHead,
  known?: ChainHead,
): Promise<Verification> {
  const anchor = anchorSchema.safeParse(parsed((await store.findLastBody(pruneAction)) ?? ''));
  const start = anchor.success ? { seq: anchor.data.details.through, hash: anchor.data.details.hash } : genesis;
  let last = start;
  let knownHeadFound = known === undefined || known.seq <= start.seq ? null : false;
  const result = (broken: Verification['broken']): Verification => {
    const records = last.seq - start.seq;
    return { broken, records, head, prunedThrough: start.seq, knownHeadFound };
  };
  for (let after = 0; last.seq < head.seq;) {
    const links = await store.readLinks(after, linksTogether);
    for (const link of links) {
      if (link.seq > head.seq) break;
      const reason = breakOf(last, link);
      // What lies before the anchor should not be there: its own row is what does not fit.
      if (reason !== undefined) return result({ seq: Math.min(last.seq + 1, link.seq), reason });
      if (link.seq === known?.seq) {
        if (link.hash !== known.hash) return result({ seq: link.seq, reason: 'replaced' });
        knownHeadFound = true;
      }
      last = { seq: link.seq, hash: link.hash };
    }
    const read = links.at(-1)?.seq;
    if (read === undefined) break;
    after = read;
    await endOfTurn();
  }
  if (last.seq < head.seq) return result({ seq: last.seq + 1, reason: 'missing' });
  if (last.hash !== head.hash) return result({ seq: last.seq, reason: 'replaced' });
  if (knownHeadFound === false) return result({ seq: last.seq + 1, reason: 'missing' });
  return result(null);
}

function breakOf(last: ChainHead, link: StoredLink): BreakReason | undefined {
  if (link.seq !== last.seq + 1) return link.seq > last.seq ? 'missing' : 'replaced';
  if (linkHash(last.hash, link.body) !== link.hash) return 'altered';
  return isAsSearched(link) ? undefined : 'altered';
}

const bodySchema = z.object({
  seq: z.int(),
  at: z.int(),
  userId: z.string().nullable(),
  agentId: z.string().nullable(),
  action: z.string(),
});

/** Whether the row is found by what its record says. */
function isAsSearched({ seq, keys, body }: StoredLink): boolean {
  const record = bodySchema.safeParse(parsed(body));
  if (!record.success) return false;
  const { at, userId, agentId, action } = record.data;
  return record.data.seq === seq && canonicalJson({ at, userId, agentId, action }) === keys;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // no schema accepts it
  }
}
