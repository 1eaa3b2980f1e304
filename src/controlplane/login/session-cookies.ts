/**
 * Cookies of this host alone, out of reach of scripts. `__Host-`, where TLS allows it, keeps other hosts of the domain (previews!)
 * from setting one in our place; without TLS they can, so where several arrive none is taken.
 */
const names = { session: 'caisson-session', ticket: 'caisson-sign-in' } as const;

type CookieName = keyof typeof names;

interface CookieOptions {
  readonly isSecure: boolean;
  readonly maxAgeMs: number;
}

/** The value of a Set-Cookie header. */
export function setCookie(name: CookieName, value: string, { isSecure, maxAgeMs }: CookieOptions): string {
  const age = Math.max(0, Math.floor(maxAgeMs / 1_000));
  // Lax: who comes back from the identity provider comes from another site.
  const cookie = `${nameOf(name, isSecure)}=${value}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Lax`;
  return isSecure ? `${cookie}; Secure` : cookie;
}

/** Makes the browser forget it. */
export function clearCookie(name: CookieName, isSecure: boolean): string {
  return setCookie(name, '', { isSecure, maxAgeMs: 0 });
}

/** What a Cookie header holds; undefined where it has none, or several that differ. */
export function readCookie(
  header: string | undefined,
  name: CookieName,
  { isSecure }: Pick<CookieOptions, 'isSecure'>,
): string | undefined {
  if (header === undefined) return undefined;
  const wanted = nameOf(name, isSecure);
  const values = new Set<string>();
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=');
    if (pair.slice(0, at).trim() === wanted) values.add(pair.slice(at + 1).trim());
  }
  const [value, ...more] = values;
  return more.length > 0 || value === '' ? undefined : value;
}

function nameOf(name: CookieName, isSecure: boolean): string {
  return isSecure ? `__Host-${names[name]}` : names[name];
}
