import { constants } from 'node:os';
import { InvalidArgumentError, Option } from 'commander';

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

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };

/** `90s`, `10m`, `2h`, `500ms`, or a plain number of seconds, as milliseconds. */
export function durationMs(text: string): number {
  const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h)?$/.exec(text) ?? [];
  if (number === undefined) throw new InvalidArgumentError('It must be a time such as 90s, 10m or 2h.');
  return Math.round(Number(number) * (unitMs[unit] ?? 1_000));
}

/** `NAME=value`, put to those that were given before. */
export function environmentVariable(
  text: string,
  previous: Readonly<Record<string, string>>,
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
