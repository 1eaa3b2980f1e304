import { type AgentId, agentIdSchema } from '../../kernel/ids.ts';

/** What a preview's origin stands for. */
export interface PreviewPlace {
  readonly agentId: AgentId;
  readonly port: number;
}

interface HostSettings {
  /** In lower case. */
  readonly domain: string;
  /** Scheme and port of the links where a proxy with TLS stands in front; null for plain HTTP on our own port. */
  readonly publicUrl: string | null;
}

/** The names of previews: `<port>-<agent id>.<domain>`. */
export class PreviewHosts {
  /** That all previews are in, in lower case. */
  readonly domain: string;
  readonly #publicUrl: URL | null;
  #ownPort = 80;

  constructor({ domain, publicUrl }: HostSettings) {
    this.domain = domain;
    this.#publicUrl = publicUrl === null ? null : new URL(publicUrl);
  }

  /** Where the control plane listens, as soon as that is known. */
  listensOn(port: number): void {
    this.#ownPort = port;
  }

  /** Whether visitors come over TLS. */
  get isSecure(): boolean {
    return this.#publicUrl?.protocol === 'https:';
  }

  /** Whether a Host header names the preview domain or anything in it: then nothing but a preview may answer. */
  covers(host: string | undefined): boolean {
    const name = nameOf(host);
    return name === this.domain || name.endsWith(`.${this.domain}`);
  }

  /** Undefined for names in the domain that stand for nothing. */
  placeOf(host: string | undefined): PreviewPlace | undefined {
    const label = nameOf(host).slice(0, -this.domain.length - 1);
    const [, port = '', agent = ''] = /^([1-9]\d{0,4})-(agt-[a-z0-9]+)$/.exec(label) ?? [];
    const agentId = agentIdSchema.safeParse(agent);
    if (!agentId.success || Number(port) > 65_535 || /\.(?::|$)/.test(host ?? '')) return undefined;
    return { agentId: agentId.data, port: Number(port) };
  }

  /** Without a slash at its end. */
  originOf({ agentId, port }: PreviewPlace): string {
    const url = new URL(this.#publicUrl ?? `http://caisson:${this.#ownPort}`);
    url.hostname = `${port}-${agentId}.${this.domain}`;
    return url.origin;
  }
}

/** Without its port and the dot that may end a name. */
function nameOf(host: string | undefined): string {
  return (host ?? '').replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}
