import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { RunningServer } from '../running-server.ts';

/** What a page was answered with. */
export interface PageAnswer {
  readonly status: number;
  /** The path and query of a redirect; undefined for a page. */
  readonly location: string | undefined;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
}

interface Sent {
  readonly method?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * A browser as far as HTTP goes: it keeps cookies, and says where its requests come from. It follows no redirect by itself.
 */
export class Browser {
  readonly #url: string;
  readonly #cookies = new Map<string, string>();

  constructor({ url }: Pick<RunningServer, 'url'>) {
    // Cookies and pages are of `localhost`; the server listens on the address.
    this.#url = url;
  }

  get cookie(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  get origin(): string {
    return new URL(this.#url).origin;
  }

  async open(path: string, headers: Record<string, string> = {}): Promise<PageAnswer> {
    return await this.#send(path, { headers: { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', ...headers } });
  }

  /** Sends a form of a page of `origin`; default: of the server's own. */
  async submit(path: string, fields: Record<string, string>, origin = this.origin): Promise<PageAnswer> {
    const site = origin === this.origin ? 'same-origin' : 'same-site';
    return await this.#send(path, {
      method: 'POST',
      body: new URLSearchParams(fields).toString(),
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        origin,
        'sec-fetch-site': site,
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'document',
      },
    });
  }

  /** A call of the API by a script of a page. */
  async call(path: string, sent: Partial<Sent> = {}): Promise<PageAnswer> {
    return await this.#send(`/trpc/${path}`, {
      ...sent,
      headers: { 'sec-fetch-site': 'same-origin', ...sent.headers },
    });
  }

  /** Not by `fetch`, which says of itself what it is for. */
  async #send(path: string, { method = 'GET', headers, body }: Sent): Promise<PageAnswer> {
    const cookies = this.cookie === '' ? {} : { cookie: this.cookie };
    const outgoing = request(new URL(path, this.#url), { method, agent: false, headers: { ...cookies, ...headers } });
    outgoing.end(body);
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    for (const line of response.headers['set-cookie'] ?? []) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    const { statusCode: status = 0, headers: answered } = response;
    return { status, location: answered.location, text: await text(response), headers: answered };
  }
}
