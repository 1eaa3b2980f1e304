import { isIP } from 'node:net';

interface HostSettings {
  readonly host: string;
  readonly allowedHosts: readonly string[];
}

/**
 * Which Host headers are answered. A server on loopback is protected by nothing but its address, and a page of another
 * site can point its own name at that address (DNS rebinding): so the name must be a loopback one, or a configured one.
 * A server that listens on another address is reached by names that it cannot know; there the API key alone decides.
 */
export function acceptedHosts({ host, allowedHosts }: HostSettings): (header: string | undefined) => boolean {
  if (!isLoopback(host)) return () => true;
  const names = new Set(['localhost', host.toLowerCase(), ...allowedHosts.map((name) => name.toLowerCase())]);
  return (header) => {
    const name = header === undefined ? undefined : hostName(header);
    return name !== undefined && (names.has(name) || isLoopback(name));
  };
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Of `name`, `name:port`, `[::1]` or `[::1]:port`. */
function hostName(header: string): string | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/@?#]+))(?::\d{1,5})?$/.exec(header);
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}
