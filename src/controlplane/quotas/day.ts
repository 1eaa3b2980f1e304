import { CaissonError } from '../../kernel/errors.ts';

/** Longer than any day that a time zone can have: some days have 25 hours, and a date can be left out as a whole. */
const beyondAnyDayMs = 50 * 3_600_000;

/** By their time zones. These are a closed set of some 600 names, checked by `isTimeZone`; so is the next one. */
const formats = new Map<string, Intl.DateTimeFormat>();

/** Whether it is a name of the IANA time zone database, such as `Europe/Berlin` or `UTC`. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/.test(name)) return false;
  try {
    dateFormat(name);
    return true;
  } catch (thrown) {
    if (thrown instanceof RangeError) return false;
    throw thrown;
  }
}

/** The day that each time zone was asked for last. */
const days = new Map<string, { readonly from: number; readonly end: number }>();

/**
 * The end of the day that `now` lies in, in milliseconds since the epoch: the first moment with another date. That is
 * midnight, or later where the clock is put forward at midnight.
 */
export function endOfDay(now: number, timeZone: string): number {
  const known = days.get(timeZone);
  if (known !== undefined && known.from <= now && now < known.end) return known.end;
  const end = findEndOfDay(now, timeZone);
  days.set(timeZone, { from: now, end });
  return end;
}

function findEndOfDay(now: number, timeZone: string): number {
  const format = dateFormat(timeZone);
  const today = format.format(now);
  let [inside, beyond] = [now, now + beyondAnyDayMs];
  if (format.format(beyond) === today) throw new CaissonError('INTERNAL', `A day of ${timeZone} does not end.`);
  while (beyond - inside > 1) {
    const middle = Math.floor((inside + beyond) / 2);
    if (format.format(middle) === today) inside = middle;
    else beyond = middle;
  }
  return beyond;
}

function dateFormat(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
  formats.set(timeZone, format);
  return format;
}
