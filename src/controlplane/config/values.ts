import { z } from 'zod';
import { readDuration } from '../../kernel/duration.ts';

/** Kinds of values that an environment variable can hold. Each says in its error what is allowed. */

const sizeUnits = { '': 1, k: 1_024, m: 1_024 ** 2, g: 1_024 ** 3 } as const;

interface Range {
  readonly least: string;
  readonly most: string;
}

/** A whole number between two bounds. */
export function wholeNumber({ least, most }: { readonly least: number; readonly most: number }) {
  const allowed = `a whole number from ${least} to ${most}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, allowed)
    .transform(Number)
    .refine((value) => value >= least && value <= most, allowed);
}

/** A number that may have a fraction, such as `0.5`. */
export function decimal({ least, most }: { readonly least: number; readonly most: number }) {
  const allowed = `a number from ${least} to ${most}`;
  return z
    .string()
    .regex(/^\d{1,9}(\.\d{1,6})?$/, allowed)
    .transform(Number)
    .refine((value) => value >= least && value <= most, allowed);
}

/** A time with its unit, such as `30s`, `10m`, `2h`; becomes milliseconds. */
export function duration({ least, most }: Range) {
  const allowed = `a time with its unit (ms, s, m, h, d) from ${least} to ${most}`;
  const from = readDuration(least) ?? 0;
  const to = readDuration(most) ?? Infinity;
  return z.string().transform((text, context) => within(readDuration(text), from, to, allowed, context));
}

/** A size such as `1048576`, `512k`, `2g` (powers of 1,024); becomes bytes. */
export function size({ least, most }: Range) {
  const allowed = `a size in bytes, or with k, m or g, from ${least} to ${most}`;
  const from = readSize(least) ?? 0;
  const to = readSize(most) ?? Infinity;
  return z.string().transform((text, context) => within(readSize(text), from, to, allowed, context));
}

/** The same, or `none`, which becomes null. */
export function sizeOrNone({ least, most }: Range) {
  const allowed = `a size in bytes, or with k, m or g, from ${least} to ${most}, or \`none\``;
  const from = readSize(least) ?? 0;
  const to = readSize(most) ?? Infinity;
  return z.string().transform((text, context) => {
    return text === 'none' ? null : within(readSize(text), from, to, allowed, context);
  });
}

/** `http://` or `https://`, without user, query and fragment; becomes the address without a slash at its end. */
export function httpUrl() {
  const allowed = 'an http or https address without user name, query and fragment';
  return z.string().transform((text, context) => {
    const url = URL.parse(text);
    if (url === null || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
      context.addIssue(allowed);
      return z.NEVER;
    }
    return url.href.replace(/\/+$/, '');
  });
}

/** An address with TLS, or of loopback. It is kept to the letter: an issuer is compared so. */
export function issuerUrl() {
  const allowed = 'an https address (http on loopback only) without user name, query and fragment';
  return z.string().transform((text, context) => {
    const url = URL.parse(text);
    const isPlain = url !== null && !url.username && !url.password && !url.search && !url.hash;
    const isLoopback = url?.hostname === 'localhost' || url?.hostname === '127.0.0.1' || url?.hostname === '[::1]';
    if (isPlain && (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback))) return text;
    context.addIssue(allowed);
    return z.NEVER;
  });
}

/** `http://` or `https://` with a host and perhaps a port, and nothing else. */
export function httpOrigin() {
  const allowed = 'an http or https address with nothing after the host and port';
  return z.string().transform((text, context) => {
    const url = URL.parse(text);
    if (url !== null && /^https?:$/.test(url.protocol) && `${url.origin}/` === url.href) return url.origin;
    context.addIssue(allowed);
    return z.NEVER;
  });
}

/** `name=value`, separated by commas; no value has a comma. Becomes the values by their names. */
export function httpHeaders() {
  return z.string().transform((text, context): Readonly<Record<string, string>> => {
    const pairs = text.split(',').map((pair) => /^\s*([\w-]{1,64})=([\x21-\x7e]{1,4096})\s*$/.exec(pair));
    const isRight = pairs.every((pair) => pair !== null);
    if (isRight) return Object.fromEntries(pairs.map(([, name = '', value = '']) => [name.toLowerCase(), value]));
    context.addIssue('headers such as `x-key=abc`, separated by commas');
    return z.NEVER;
  });
}

/** A secret: printable ASCII without spaces, as it must fit into an HTTP header. */
export function secret() {
  return z.string().regex(/^[\x21-\x7e]{1,4096}$/, 'printable ASCII without spaces, at most 4,096 characters');
}

function within(
  value: number | undefined,
  from: number,
  to: number,
  allowed: string,
  context: z.RefinementCtx,
): number {
  if (value !== undefined && value >= from && value <= to) return value;
  context.addIssue(allowed);
  return z.NEVER;
}

function readSize(text: string): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,3})?)([kmg]?)$/i.exec(text);
  const unit = match?.[2]?.toLowerCase();
  if (match === null || !isKeyOf(sizeUnits, unit)) return undefined;
  return Math.round(Number(match[1]) * sizeUnits[unit]);
}

function isKeyOf<T extends object>(table: T, key: unknown): key is keyof T {
  return typeof key === 'string' && Object.hasOwn(table, key);
}
