const units = [
  { name: 's', ms: 1_000 },
  { name: 'min', ms: 60_000 },
  { name: 'h', ms: 3_600_000 },
  { name: 'd', ms: 86_400_000 },
] as const;

/** `12 s ago`, `in 4 min`, `3 d ago`; beyond four weeks the date. Times are milliseconds since the epoch. */
export function relativeTime(at: number, now: number): string {
  const distance = Math.abs(now - at);
  if (distance < 1_000) return 'now';
  if (distance > 28 * 86_400_000) return new Date(at).toISOString().slice(0, 10);
  const text = duration(distance);
  return at > now ? `in ${text}` : `${text} ago`;
}

/** `800 ms`, `12 s`, `4 min`: the largest unit that fits, rounded down. */
export function duration(ms: number): string {
  const unit = units.findLast((candidate) => candidate.ms <= ms);
  return unit === undefined ? `${Math.round(ms)} ms` : `${Math.floor(ms / unit.ms)} ${unit.name}`;
}
