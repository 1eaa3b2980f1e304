import { isIP } from 'node:net';

/**
 * Where people reach the control plane with a browser, which is where they can sign in: `CAISSON_PUBLIC_URL`, or else the names of
 * loopback, where nobody listens in. Anywhere else nobody can: a password would go over the network in clear.
 */
export class WebOrigin {
  readonly #publicUrl: string | null;
  #ownPort = 80;

  /** `publicUrl`: an origin, without a slash at its end. */
  constructor(publicUrl: string | null) {
    this.#publicUrl = publicUrl;
  }

  /** Where the control plane listens, as soon as that is known. */
  listensOn(port: number): void {
    this.#ownPort = port;
  }

  /** Whether browsers come over TLS. */
  get isSecure(): boolean {
    return this.#publicUrl?.startsWith('https:') ?? false;
  }

  /** For links. */
  get usual(): string {
    return this.#publicUrl ?? new URL(`http://localhost:${this.#ownPort}`).origin;
  }

  /** The origin of the pages that a request with this Host header is for; undefined where nobody can sign in. */
  of(host: string | undefined): string | undefined {
    if (this.#publicUrl !== null) return this.#publicUrl;
    const url = host === undefined ? null : URL.parse(`http://${host}`);
    if (url === null || url.host !== host?.toLowerCase()) return undefined;
    const { hostname } = url;
    const isLoopback =
      hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) === 4 && hostname.startsWith('127.'));
    return isLoopback ? url.origin : undefined;
  }
}
