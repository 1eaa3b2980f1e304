import { isIP } from 'node:net';
import { z } from 'zod';

const mostNames = 64;

/** Names that all look like `pattern`, separated by commas; at most 64. */
export function nameList(pattern: RegExp, allowed: string) {
  return nameListOf((name) => pattern.test(name), allowed);
}

/** The same, by a claim that holds for each. */
export function nameListOf(isAllowed: (name: string) => boolean, allowed: string) {
  return z.string().transform((text, context) => {
    const names = text.split(',').map((name) => name.trim());
    if (names.length <= mostNames && names.every(isAllowed)) return names;
    context.addIssue(allowed);
    return z.NEVER;
  });
}

/** Whether a name is an address, or a network such as `10.0.0.0/8`. */
export function isNetwork(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/');
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return (
    more.length === 0 && bits > 0 && (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits))
  );
}
