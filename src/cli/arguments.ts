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

/** Parser of a time such as `90s`, `10m`, `2h`, `7d`, or a plain number of seconds; becomes milliseconds. */
export function durationMs({ least, most }: TimeRange = {}): (text: string) => number {
  const from = readDuration(least ?? '') ?? 0;
  const to = readDuration(most ?? '') ?? Infinity;
  return (text) => {
    const value = readDuration(/[a-z]$/.test(text) ? text : `${text}s`);
    if (value !== undefined && value >= from && value <= to) return value;
    const range = [least && `at least ${least}`, most && `at most ${most}`].filter(Boolean).join(' and ');
    throw new InvalidArgumentError(`It must be a time such as 90s, 10m or 2h${range && `, ${range}`}.`);
  };
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
