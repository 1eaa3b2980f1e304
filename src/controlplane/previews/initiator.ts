import type { IncomingHttpHeaders } from 'node:http';
import type { PreviewHosts, PreviewPlace } from './preview-hosts.ts';

/**
 * Whether a browser sends this on behalf of a page that may. All previews share a site, so the cookie alone does not keep
 * the app of one agent from acting on that of another: requests of pages must come from the same agent, whatever its port.
 * A person may follow a link from anywhere. Into a frame, where clicks can be stolen, it must be known who asks: a page of
 * the same agent, or one that is no preview. What is no browser sends none of these headers, and may.
 */
export function isAllowedInitiator(
  { method, headers }: { readonly method?: string | undefined; readonly headers: IncomingHttpHeaders },
  place: PreviewPlace,
  hosts: PreviewHosts,
): boolean {
  const { origin, referer } = headers;
  const hostOf = (url: string): string | undefined => URL.parse(url)?.host;
  const isOfAgent = (url: string): boolean => {
    const host = hostOf(url);
    return hosts.covers(host) && hosts.placeOf(host)?.agentId === place.agentId;
  };
  const isNoPreview = (url: string): boolean => {
    const host = hostOf(url);
    return host !== undefined && host !== '' && !hosts.covers(host);
  };
  const isSafe = method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
  const [site, mode, dest] = [headers['sec-fetch-site'], headers['sec-fetch-mode'], headers['sec-fetch-dest']];
  const isFrame = mode === 'navigate' && dest !== undefined && dest !== 'document';
  if (isFrame && isSafe && site !== 'none' && site !== 'same-origin') {
    const initiator = origin ?? referer ?? '';
    return isOfAgent(initiator) || isNoPreview(initiator);
  }
  if (origin !== undefined && !isOfAgent(origin)) return isSafe && mode === 'navigate' && headers.upgrade === undefined;
  if (site === undefined || site === 'none' || site === 'same-origin') return true;
  if (mode === 'navigate' && isSafe) return true;
  return origin !== undefined || (referer !== undefined && isOfAgent(referer));
}
