/** Headers that speak of one connection (RFC 9110, 7.6.1), and those that HTTP/2 replaces. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Speaks of the body, and a body is passed on: without it, what follows the head would be taken for another message. */
const framing = 'content-length';

type Headers = Readonly<Record<string, string | readonly string[] | number | undefined>>;

/**
 * The headers that belong to the message itself: no hop-by-hop header, none that `connection` names, no pseudo-header.
 * Content-Length stays, whatever `connection` says. Who passes a body on over HTTP/1.1 sees to Transfer-Encoding.
 */
export function endToEndHeaders(headers: Headers): Record<string, string | string[]> {
  const named = new Set(
    String(headers['connection'] ?? '')
      .split(',')
      .map((name) => name.trim().toLowerCase()),
  );
  named.delete(framing);
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(':') || hopByHop.has(name) || named.has(name)) continue;
    kept[name] = Array.isArray(value) ? [...(value as readonly string[])] : String(value);
  }
  return kept;
}
