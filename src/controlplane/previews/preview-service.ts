import type { Agent } from '../../agents/agent.ts';
import type { AgentStore } from '../../agents/ports.ts';
import { durationText } from '../../kernel/duration.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { type AgentId, newPreviewId, type PreviewId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { SteadyClock } from '../../kernel/steady-clock.ts';
import type { GuestClient } from '../../wire/guest-client.ts';
import type { Access, Demand } from '../auth/access.ts';
import type { KeyService } from '../auth/key-service.ts';
import type { SharingService } from '../auth/sharing-service.ts';
import type { LivePreview } from './live-preview.ts';
import { LivePreviews } from './live-previews.ts';
import type { PreviewHosts, PreviewPlace } from './preview-hosts.ts';
import { type CookieSigner, hashPreviewToken, newPreviewToken } from './preview-secrets.ts';
import { linkOf } from './preview-url.ts';
import { type Preview, type PreviewAccess, previewState, type PreviewStore } from './preview.ts';

interface PreviewServiceOptions {
  readonly store: PreviewStore;
  readonly agents: Pick<AgentStore, 'findAgent'>;
  readonly access: Pick<Access, 'agent' | 'mayRun'>;
  readonly keys: Pick<KeyService, 'onEnded' | 'isLive'>;
  readonly sharing: Pick<SharingService, 'onNarrowed'>;
  readonly guests: { findClient(agent: Agent): Promise<GuestClient | undefined> };
  readonly hosts: PreviewHosts;
  readonly cookies: CookieSigner;
  readonly maxTtlMs: number;
  readonly clock: SteadyClock;
  readonly logger: Logger;
}

interface PreviewRequest {
  readonly agentId: AgentId;
  readonly port: number;
  /** Default 1 h, or the longest time that the configuration allows. */
  readonly expiresInMs?: number | undefined;
  readonly access: PreviewAccess;
}

const defaultTtlMs = 3_600_000;

/** Previews of one agent that may be usable at the same time, and that are kept in all. */
const mostActive = 50;
const mostKept = 100;

/** Previews: who may make and end them, and whose visit is let in. */
export class PreviewService implements Disposable {
  readonly #options: PreviewServiceOptions;
  readonly #live: LivePreviews;
  readonly #stopListening: () => void;

  constructor(options: PreviewServiceOptions) {
    this.#options = options;
    this.#live = new LivePreviews({
      load: (id) => this.#load(id),
      findGuest: (agent) => options.guests.findClient(agent),
      clock: options.clock,
    });
    const forgetShares = options.sharing.onNarrowed(({ userId, agentId }) => this.#live.endOf({ userId, agentId }));
    const forgetKeys = options.keys.onEnded((keyId) => {
      this.#live.endKey(keyId);
      // A visit asks for the key as well, so the previews are over whether or not this can be stored.
      options.store.revokePreviewsOfKey(keyId, options.clock.now()).catch((err: unknown) => {
        options.logger.warn({ err, keyId }, 'the previews of a key that ended could not be marked');
      });
    });
    this.#stopListening = () => {
      forgetShares();
      forgetKeys();
    };
  }

  /** Errors: AGENT_NOT_FOUND; BAD_REQUEST for a time above the configuration's; LIMIT_REACHED at 50 usable ones of an agent. */
  async create(demand: Demand, request: PreviewRequest): Promise<{ preview: Preview; url: string }> {
    const { access, store, hosts, clock, maxTtlMs } = this.#options;
    const { agentId, port } = request;
    await access.agent(demand, agentId);
    const { principal } = demand;
    const ttlMs = request.expiresInMs ?? Math.min(defaultTtlMs, maxTtlMs);
    if (ttlMs > maxTtlMs) {
      throw new CaissonError('BAD_REQUEST', `A preview can be made for ${durationText(maxTtlMs)} at most.`, {
        hint: 'Ask for less time, or ask an administrator to raise CAISSON_PREVIEW_MAX_TTL.',
        details: { maxTtlMs },
      });
    }
    const token = newPreviewToken();
    const now = clock.now();
    const preview: Preview = {
      id: newPreviewId(),
      agentId,
      port,
      access: request.access,
      createdBy: principal.userId,
      keyId: principal.keyId,
      createdAt: now,
      expiresAt: now + ttlMs,
      openedAt: null,
      revokedAt: null,
    };
    const options = { tokenHash: hashPreviewToken(token) ?? '', mostActive, mostKept };
    if (!(await store.insertPreview(preview, options))) {
      throw new CaissonError('LIMIT_REACHED', `The agent has ${mostActive} previews already.`, {
        hint: 'Revoke previews that you no longer need.',
        details: { limit: mostActive },
      });
    }
    return { preview, url: linkOf(hosts.originOf(preview), token) };
  }

  /** The newest first: all that can be used, and the latest of those that are over. */
  async list(demand: Demand, agentId: AgentId): Promise<readonly Preview[]> {
    await this.#options.access.agent(demand, agentId);
    return await this.#options.store.listPreviews(agentId);
  }

  /** PREVIEW_NOT_FOUND also for those of an agent that the caller may not see. */
  async get(demand: Demand, id: PreviewId): Promise<Preview> {
    const preview = await this.#options.store.findPreview(id);
    const missing = new CaissonError('PREVIEW_NOT_FOUND', `There is no preview ${id}.`);
    if (preview === undefined) throw missing;
    await this.#options.access.agent(demand, preview.agentId).catch((thrown: unknown) => {
      throw thrown instanceof CaissonError && thrown.code === 'AGENT_NOT_FOUND' ? missing : thrown;
    });
    return preview;
  }

  /** At once: what is open through it is cut. Revoking twice is no error. */
  async revoke(demand: Demand, id: PreviewId): Promise<Preview> {
    await this.get(demand, id);
    await this.#options.store.revokePreview(id, this.#options.clock.now());
    this.#live.end(id);
    return await this.get(demand, id);
  }

  /**
   * Takes a link's token for what the visitor keeps instead: the value of a cookie, and for how long. A link of access `owner`
   * is spent by that. Errors: PREVIEW_FORBIDDEN for a token that is none of this place's; PREVIEW_ENDED.
   */
  async exchange(token: string, place: PreviewPlace): Promise<{ cookie: string; maxAgeMs: number }> {
    const { store, cookies, clock } = this.#options;
    const hash = hashPreviewToken(token);
    const preview = hash === undefined ? undefined : await store.findPreviewByToken(hash);
    if (preview?.agentId !== place.agentId || preview.port !== place.port) {
      throw new CaissonError('PREVIEW_FORBIDDEN', 'This is no link to this address.');
    }
    if ((await this.#live.find(preview.id)) === undefined) throw this.#ended(preview);
    const isFirst = await store.markPreviewOpened(preview.id, clock.now());
    if (!isFirst && preview.access === 'owner') {
      throw new CaissonError('PREVIEW_ENDED', 'This link has been opened already. It works once.');
    }
    return { cookie: cookies.sign(preview), maxAgeMs: preview.expiresAt - clock.now() };
  }

  /** The preview that one of these cookies is for. Errors: PREVIEW_FORBIDDEN, PREVIEW_ENDED. */
  async admit(cookies: readonly string[], place: PreviewPlace): Promise<LivePreview> {
    let over: PreviewId | undefined;
    for (const value of cookies) {
      const id = this.#options.cookies.read(value, place);
      const live = id && (await this.#live.find(id));
      if (live !== undefined) return live;
      over ??= id;
    }
    if (over === undefined) throw new CaissonError('PREVIEW_FORBIDDEN', 'This address is opened by a preview link.');
    throw this.#ended(await this.#options.store.findPreview(over));
  }

  /** Ends all that is open through previews. */
  [Symbol.dispose](): void {
    this.#stopListening();
    this.#live.close();
  }

  #ended(preview: Preview | undefined): CaissonError {
    const isExpired = preview !== undefined && previewState(preview, this.#options.clock.now()) === 'expired';
    return new CaissonError('PREVIEW_ENDED', isExpired ? 'This preview has expired.' : 'This preview was ended.');
  }

  async #load(id: PreviewId): Promise<{ preview: Preview; agent: Agent } | undefined> {
    const { store, agents, keys, access, clock } = this.#options;
    const preview = await store.findPreview(id);
    if (preview === undefined || previewState(preview, clock.now()) !== 'active') return undefined;
    const agent = await agents.findAgent(preview.agentId);
    if (agent === undefined || agent.deleting || !(await keys.isLive(preview.keyId))) return undefined;
    return (await access.mayRun(preview.createdBy, agent)) ? { preview, agent } : undefined;
  }
}
