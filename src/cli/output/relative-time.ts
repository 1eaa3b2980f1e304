const units = [
  { name: 's', ms: 1_000 },
  { name: 'min', ms: 60_000 },
  { name: 'h', ms: 3_600_000 },
  { name: 'd', ms: 86_400_000 },
] as const;

/**
 * `12 s ago`, `in 4 min`, `3 d ago`; beyond four weeks the date. What is past is rounded down; what is to come to the nearest,
 * so that what was asked for as 8 h ends in 8 h. Times are milliseconds since the epoch; of one that is no date, nothing more
 * is said.
 */
export function relativeTime(at: number, now: number): string {
  const distance = Math.abs(now - at);
  if (distance < 1_000) return 'now';
  if (!(distance <= 28 * 86_400_000)) return isoTime(at)?.slice(0, 10) ?? 'at no known time';
  return at > now ? `in ${nearest(distance)}` : `${duration(distance)} ago`;
}

/** ISO 8601, or undefined for what is no date. Takes whatever another program calls a time. */
export function isoTime(at: number): string | undefined {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** In the smallest unit of which there are not enough for the next one. */
function nearest(ms: number): string {
  let [rounded, text] = [ms, ''];
  for (const { name, ms: size } of units) {
    if (text !== '' && rounded < size) break;
    const count = Math.round(ms / size);
    [rounded, text] = [count * size, `${count} ${name}`];
  }
  return text;
}

/** `800 ms`, `12 s`, `4 min`: the largest unit that fits, rounded down. */
export function duration(ms: number): string {
  const unit = units.findLast((candidate) => candidate.ms <= ms);
  return unit === undefined ? `${Math.round(ms)} ms` : `${Math.floor(ms / unit.ms)} ${unit.name}`;
}
