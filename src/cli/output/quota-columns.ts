import type { QuotaStatement } from '../../client/index.ts';
import { amountText } from '../../controlplane/quotas/amount-text.ts';
import { byteSize } from '../../kernel/byte-size.ts';
import { relativeTime } from './relative-time.ts';
import type { Column } from './table.ts';

type Line = QuotaStatement['quotas'][number];

const sources = { own: 'its own', plan: 'its plan', default: 'the default' } as const;

/** From this share on a line is shown as nearly spent. */
const nearShare = 0.8;

export function quotaColumns(now: number): Column<Line>[] {
  const text = ({ dimension }: Line, amount: number | null, none: string): string =>
    amount === null ? none : grouped(amountText(dimension, amount, byteSize));
  return [
    { title: 'quota', value: ({ dimension }) => dimension, style: () => 'bold' },
    { title: 'used', value: (line) => text(line, line.used, ''), align: 'right', style: styleOf },
    { title: 'held', value: (line) => (line.reserved === 0 ? '' : text(line, line.reserved, '')), align: 'right' },
    { title: 'limit', value: (line) => text(line, line.limit, 'none'), align: 'right' },
    { title: 'said by', value: ({ source }) => sources[source] },
    {
      title: 'resets',
      value: ({ resetsAt }) => (resetsAt === null ? '' : relativeTime(resetsAt, now)),
      whenNarrow: 'leave-out',
    },
  ];
}

/** A plain number with commas between its thousands, as other listings have it. */
function grouped(amount: string): string {
  return /^\d+$/.test(amount) ? Number(amount).toLocaleString('en-US') : amount;
}

function styleOf({ used, limit }: Line): 'red' | 'yellow' | undefined {
  if (used === null || limit === null) return undefined;
  if (used >= limit) return 'red';
  return used >= limit * nearShare ? 'yellow' : undefined;
}
