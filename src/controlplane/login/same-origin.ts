import type { IncomingHttpHeaders } from 'node:http';
import { CaissonError } from '../../kernel/errors.ts';

/** What of a request tells on whose behalf a browser sends it. */
export interface BrowserRequest {
  readonly method?: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

/**
 * Whether a page may be shown to who is signed in: to a person who goes there, from wherever, and not to a script of another origin,
 * nor into its frame.
 */
export function isVisit({ headers }: BrowserRequest): boolean {
  const [site, mode, destination] = [headers['sec-fetch-site'], headers['sec-fetch-mode'], headers['sec-fetch-dest']];
  if (site === undefined || site === 'same-origin' || site === 'none') return true;
  return mode === 'navigate' && (destination === undefined || destination === 'document');
}

/**
 * Whether a request may come with a cookie: only when a page of our own origin sends it. A preview is another origin, even where it
 * is of the same site, so SameSite alone does not keep its app out. What changes something, and what opens a socket, must say that it
 * comes from us; what only reads may be silent, as older browsers are, since nobody else can read the answer.
 *
 * @throws CaissonError FORBIDDEN
 */
export function requireSameOrigin({ method, headers }: BrowserRequest, own: string | undefined): void {
  const { origin, upgrade } = headers;
  const site = headers['sec-fetch-site'];
  const isRead = (method === 'GET' || method === 'HEAD') && upgrade === undefined;
  const isOurs = (origin === undefined || origin === own) && (site === undefined || site === 'same-origin');
  const saysSo = upgrade === undefined ? origin !== undefined || site !== undefined : origin !== undefined;
  // `none`: a person typed the address, or took a bookmark.
  const isTyped = isRead && origin === undefined && site === 'none';
  if (own !== undefined && (isTyped || (isOurs && (isRead || saysSo)))) return;
  throw new CaissonError('FORBIDDEN', 'The request comes from another site than the one that you are signed in to.', {
    hint: 'Call from a page of the control plane itself, or with an API key.',
  });
}
