/**
 * The cookie that a link is exchanged for. `__Host-`, where TLS allows it, keeps other hosts of the domain from setting it;
 * without TLS they can, so several may arrive, and each is looked at.
 */
const secureName = '__Host-caisson-preview';
const plainName = 'caisson-preview';

/** Enough for one of ours beside some that were planted. */
const mostValues = 8;

export interface SplitCookies {
  /** Values of our cookie. */
  readonly ours: readonly string[];
  /** The header without ours, as it is for the app; undefined when nothing is left. */
  readonly rest: string | undefined;
}

export function splitCookies(header: string | undefined): SplitCookies {
  const ours: string[] = [];
  const rest: string[] = [];
  for (const pair of header?.split(';') ?? []) {
    const [name = '', value = ''] = pair.split(/=(.*)/s);
    if (isOurs(name)) ours.push(value.trim().replace(/^"(.*)"$/, '$1'));
    else if (pair.trim() !== '') rest.push(pair.trim());
  }
  return { ours: ours.slice(0, mostValues), rest: rest.length === 0 ? undefined : rest.join('; ') };
}

interface CookieOptions {
  readonly isSecure: boolean;
  readonly maxAgeMs: number;
}

/** Of this host alone, out of reach of scripts, and not sent with what other sites embed. */
export function previewCookie(value: string, { isSecure, maxAgeMs }: CookieOptions): string {
  const attributes = `Path=/; Max-Age=${Math.max(0, Math.floor(maxAgeMs / 1000))}; HttpOnly; SameSite=Lax`;
  return isSecure ? `${secureName}=${value}; ${attributes}; Secure` : `${plainName}=${value}; ${attributes}`;
}

/** What an app may set: nothing for the whole preview domain, where all other apps are, and nothing in place of ours. */
export function appCookies(headers: readonly string[]): string[] {
  return headers
    .filter((header) => !isOurs(header.split('=', 1)[0] ?? ''))
    .map((header) => {
      const [pair = '', ...attributes] = header.split(';');
      return [pair, ...attributes.filter((attribute) => !/^\s*domain\s*(=|$)/i.test(attribute))].join(';');
    });
}

function isOurs(name: string): boolean {
  const lower = name.trim().toLowerCase();
  return lower === plainName || lower === secureName.toLowerCase();
}
