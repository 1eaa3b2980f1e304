import type { Agent } from '../../client/index.ts';
import { byteSize } from '../../kernel/byte-size.ts';
import { relativeTime } from './relative-time.ts';

type Disk = Agent['disk'];

/** `1.2 MiB of 10.0 GiB (walk on the host, 3 s ago)`. */
export function diskText({ state, usedBytes, limitBytes, method, measuredAt }: Disk, now: number): string {
  const limit = limitBytes === null ? 'no limit' : `of ${byteSize(limitBytes)}`;
  if (usedBytes === null || measuredAt === null) return `not measured yet, ${limit}`;
  const how = `(${method ?? 'unknown'}, ${relativeTime(measuredAt, now)})`;
  const shown = `${byteSize(usedBytes)} ${limitBytes === null ? `with ${limit}` : limit} ${how}`;
  return state === 'ok' ? shown : `${state}: ${shown}`;
}
