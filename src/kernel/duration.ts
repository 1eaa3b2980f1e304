/** The units of a time, the largest last; `min` is another word for `m`. */
const units = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['min', 60_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** A time with its unit, such as `500ms`, `90s`, `10m`, `2h` or `7d`, in milliseconds; undefined for anything else. */
export function readDuration(text: string): number | undefined {
  const [, number, unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?)([a-z]+)$/.exec(text) ?? [];
  const ms = units.get(unit);
  return ms === undefined ? undefined : Math.round(Number(number) * ms);
}

/** Whole milliseconds as `readDuration` reads them, in the largest unit that does so without a fraction: `7d`, `90m`. */
export function durationText(ms: number): string {
  const [unit, size] = [...units].findLast(([, each]) => ms >= each && ms % each === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}
