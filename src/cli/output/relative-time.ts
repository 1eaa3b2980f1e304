const units = [
  { name: 's', ms: 1_000 },
  { name: 'min', ms: 60_000 },
  { name: 'h', ms: 3_600_000 },
  { name: 'd', ms: 86_400_000 },
] as const;

/**
 * `12 s ago`, `in 4 min`, `3 d ago`; beyond four weeks the date. Times are milliseconds since the epoch; of one that is no
 * date, nothing more is said.
 */
export function relativeTime(at: number, now: number): string {
  const distance = Math.abs(now - at);
  if (distance < 1_000) return 'now';
  if (!(distance <= 28 * 86_400_000)) return isoTime(at)?.slice(0, 10) ?? 'at no known time';
  const text = duration(distance);
  return at > now ? `in ${text}` : `${text} ago`;
}

/** ISO 8601, or undefined for what is no date. Takes whatever another program calls a time. */
export function isoTime(at: number): string | undefined {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** `800 ms`, `12 s`, `4 min`: the largest unit that fits, rounded down. */
export function duration(ms: number): string {
  const unit = units.findLast((candidate) => candidate.ms <= ms);
  return unit === undefined ? `${Math.round(ms)} ms` : `${Math.floor(ms / unit.ms)} ${unit.name}`;
}
