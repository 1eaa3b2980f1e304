import { type Dimension, dimensionNames, dimensions } from './dimension.ts';

/** Limits as people write and read them: `cost=12.50` in dollars, `egress_bytes=2g`, `tokens=5m`, `none`. */

const powers = { '': 0, k: 1, m: 2, g: 3, t: 4 } as const;

/** What is wrong with a limit, for whoever wrote it. */
export class AmountRefused extends Error {
  override readonly name = 'AmountRefused';
}

/**
 * `name=amount`; `none` stands for no limit, and becomes null. Amounts of bytes may have k, m, g or t (powers of 1,024), others
 * k, m, g or t (powers of 1,000); `cost` is in dollars, and becomes millionths of one.
 *
 * @throws AmountRefused, which says what is allowed.
 */
export function readLimit(text: string): readonly [Dimension, number | null] {
  const [name = '', amount = ''] = text.split('=', 2).map((part) => part.trim());
  const dimension = dimensionNames.find((each) => each === name);
  if (!text.includes('=')) throw new AmountRefused('each has an amount, such as tokens=5m');
  if (dimension === undefined) {
    throw new AmountRefused(`there is no quota ${JSON.stringify(name)}, only ${dimensionNames.join(', ')}`);
  }
  return [dimension, amount === 'none' ? null : readAmount(dimension, amount)];
}

function readAmount(dimension: Dimension, text: string): number {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)([kmgt]?)$/i.exec(text);
  const unit = match?.[2]?.toLowerCase();
  if (match === null || !isUnit(unit)) throw refused(dimension);
  const base = dimensions[dimension].unit === 'bytes' ? 1_024 : 1_000;
  const value = Number(match[1]) * base ** powers[unit] * (dimension === 'cost' ? 1_000_000 : 1);
  const amount = dimension === 'cpu' ? value : Math.round(value);
  if (amount > Number.MAX_SAFE_INTEGER) throw refused(dimension);
  return amount;
}

function refused(dimension: Dimension): AmountRefused {
  const { unit } = dimensions[dimension];
  const example = unit === 'bytes' ? '500m or 2g' : '500 or 2k';
  const allowed = dimension === 'cost' ? 'dollars, such as 12.50' : `a number of ${unit}, such as ${example}`;
  return new AmountRefused(`the amount of ${dimension} must be ${allowed}, or none`);
}

function isUnit(text: string | undefined): text is keyof typeof powers {
  return text !== undefined && Object.hasOwn(powers, text);
}

/** For people: `$12.50`, or less than a cent in full, `2.0 GiB`, `5000000`. */
export function amountText(dimension: Dimension, amount: number, byteSize: (bytes: number) => string): string {
  if (dimension === 'cost') {
    const isLessThanCent = amount > 0 && amount < 10_000;
    return `$${isLessThanCent ? (amount / 1_000_000).toFixed(6).replace(/0+$/, '') : (amount / 1_000_000).toFixed(2)}`;
  }
  if (dimensions[dimension].unit === 'bytes') return byteSize(amount);
  return String(Math.round(amount * 100) / 100);
}
