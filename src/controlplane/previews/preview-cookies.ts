/**
 * The cookie that a link is exchanged for. `__Host-`, where TLS allows it, keeps other hosts of the domain from setting it;
 * without TLS they can, so several may arrive, and each is looked at.
 */
const secureName = '__Host-caisson-preview';
const plainName = 'caisson-preview';

/** Values of our cookie, each once. Only ours is spelled just so. */
export function previewCookies(header: string | undefined, { isSecure }: Pick<CookieOptions, 'isSecure'>): string[] {
  const wanted = isSecure ? secureName : plainName;
  const values = pairsOf(header).flatMap(([name, value]) =>
    name.trim() === wanted ? [value.trim().replace(/^"(.*)"$/, '$1')] : [],
  );
  return [...new Set(values)];
}

/** The header as it is for the app: without ours, however it is spelled; undefined when nothing is left. */
export function withoutPreviewCookies(header: string | undefined): string | undefined {
  const rest = pairsOf(header).flatMap(([name, , pair]) => (isOurs(name) || pair.trim() === '' ? [] : [pair.trim()]));
  return rest.length === 0 ? undefined : rest.join('; ');
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

function pairsOf(header: string | undefined): [name: string, value: string, pair: string][] {
  return (header?.split(';') ?? []).map((pair) => {
    const [name = '', value = ''] = pair.split(/=(.*)/s);
    return [name, value, pair];
  });
}

function isOurs(name: string): boolean {
  const lower = name.trim().toLowerCase();
  return lower === plainName || lower === secureName.toLowerCase();
}
