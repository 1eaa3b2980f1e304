import { constants } from 'node:os';
import { InvalidArgumentError, Option } from 'commander';
import { readDuration } from '../kernel/duration.ts';

/** Parser of a whole number in a range. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(
      `It must be a whole number, at least ${min}${max === Number.MAX_SAFE_INTEGER ? '' : ` and at most ${max}`}.`,
    );
  };
}

interface TimeRange {
  /** As they are written, e.g. `1s`. */
  readonly least?: string;
  readonly most?: string;
}

/** Parser of a time with its unit, such as `90s`, `10m`, `2h` or `7d`; becomes milliseconds. */
export function durationMs(range: TimeRange = {}): (text: string) => number {
  return (text) => {
    if (!/^\d{1,9}$/.test(text)) return timeWithin(range, text);
    throw new InvalidArgumentError(
      `It needs a unit: ${['s', 'm', 'h'].map((unit) => text + unit).join(', ')} or ${text}d.`,
    );
  };
}

/**
 * The same for how long is waited at most, where a plain number is of seconds, as everywhere on command lines. What expires
 * takes `durationMs`: a number that was meant in days must not be read in seconds.
 */
export function waitMs(range: TimeRange = {}): (text: string) => number {
  return (text) => timeWithin(range, /[a-z]$/.test(text) ? text : `${text}s`);
}

function timeWithin({ least, most }: TimeRange, text: string): number {
  const from = readDuration(least ?? '') ?? 0;
  const to = readDuration(most ?? '') ?? Infinity;
  const value = readDuration(text);
  if (value !== undefined && value >= from && value <= to) return value;
  const range = [least && `at least ${least}`, most && `at most ${most}`].filter(Boolean).join(' and ');
  throw new InvalidArgumentError(`It must be a time such as 30s, 15m, 1h or 7d${range && `, ${range}`}.`);
}

/** One more value of an option that may be given several times. */
export function oneMore(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, text];
}

/** `NAME=value`, put to those that were given before. */
export function environmentVariable(
  text: string,
  previous: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at <= 0) throw new InvalidArgumentError('It must be a name and a value, such as CI=1.');
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) };
}

/** `TERM`, `SIGTERM` or `term`, as `SIGTERM`. */
export function signalName(text: string): string {
  const name = text.toUpperCase().replace(/^(?!SIG)/, 'SIG');
  if (!Object.hasOwn(constants.signals, name))
    throw new InvalidArgumentError('It must be a signal, such as TERM or INT.');
  return name;
}

export function jsonOption(what: string): Option {
  return new Option('--json', `print ${what} as JSON`);
}

export function limitOption(count: number, what: string): Option {
  return new Option('--limit <n>', `at most this many ${what}, the newest`)
    .argParser(wholeNumber(1, 100_000))
    .default(count);
}
