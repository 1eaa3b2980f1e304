import type { AgentStore } from '../../agents/ports.ts';
import type { DiskBook } from '../disk/disk-book.ts';
import { type Account, holderOf } from './account.ts';
import { type Dimension, dimensionNames, dimensions, isMetered, isOfAgents } from './dimension.ts';
import type { LimitSource, QuotaBook } from './quota-book.ts';
import type { StoredLedger } from './stored-ledger.ts';

/** One line of a statement. */
export interface QuotaLine {
  readonly dimension: Dimension;
  /** In what the amounts are given. */
  readonly unit: string;
  /** Null: unlimited. */
  readonly limit: number | null;
  readonly source: LimitSource;
  /** Null for what is not counted: the size of a message, the rate of requests. */
  readonly used: number | null;
  /** Held by calls under way. */
  readonly reserved: number;
  /** Null: not by itself. */
  readonly resetsAt: number | null;
}

interface StatementParts {
  readonly book: QuotaBook;
  readonly ledger: Pick<StoredLedger, 'balance'>;
  readonly agents: Pick<AgentStore, 'countAgents' | 'listAgentsUp' | 'countHistoryBytes'>;
  readonly disks: Pick<DiskBook, 'usedByUser' | 'usedByAgent' | 'limitOf'>;
}

/** What an account may use and has used, of everything that it can have a limit of. */
export async function statementOf(
  account: Account,
  { book, ledger, agents, disks }: StatementParts,
): Promise<QuotaLine[]> {
  const holder = holderOf(account);
  const { limits } = await book.of(account);
  const sources = await book.sources(account);
  const up = holder.kind === 'user' ? await agents.listAgentsUp(holder.id) : [];
  const stock = async (dimension: Dimension): Promise<number | null> => {
    if (holder.kind === 'agent' && dimension === 'disk') return disks.usedByAgent(holder.id);
    if (holder.kind !== 'user') return null;
    switch (dimension) {
      case 'agents':
        return await agents.countAgents(holder.id);
      case 'running_sandboxes':
        return up.length;
      case 'cpu':
        return up.reduce((sum, each) => sum + each.limits.cpus, 0);
      case 'memory':
        return up.reduce((sum, each) => sum + each.limits.memoryBytes, 0);
      case 'disk':
        return disks.usedByUser(holder.id);
      case 'history_bytes':
        return await agents.countHistoryBytes(holder.id);
      default:
        return null;
    }
  };
  const limitOf = async (dimension: Dimension): Promise<Pick<QuotaLine, 'limit' | 'source'>> => {
    const said = { limit: limits[dimension], source: sources[dimension] };
    if (holder.kind !== 'agent' || dimension !== 'disk') return said;
    // The one that it was made with holds, unless a lower one was said.
    const limit = await disks.limitOf(holder.id);
    return limit === said.limit ? said : { limit, source: 'default' };
  };
  const lines: QuotaLine[] = [];
  for (const dimension of dimensionNames) {
    const line = { dimension, unit: dimensions[dimension].unit, ...(await limitOf(dimension)) };
    if (isMetered(dimension)) {
      const { used, reserved, resetsAt } = await ledger.balance(account, dimension);
      lines.push({ ...line, used, reserved, resetsAt });
    } else if (holder.kind === 'user' || (holder.kind === 'agent' && isOfAgents(dimension))) {
      lines.push({ ...line, used: await stock(dimension), reserved: 0, resetsAt: null });
    }
  }
  return lines;
}
