import type { Agent } from '../../agents/agent.ts';
import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { KeyId, PreviewId } from '../../kernel/ids.ts';
import type { GuestClient } from '../../wire/guest-client.ts';
import { LivePreview } from './live-preview.ts';
import type { Preview } from './preview.ts';

interface LivePreviewsOptions {
  /** The preview with its agent, as the store has them now; undefined when nobody may use it any more. */
  readonly load: (id: PreviewId) => Promise<{ readonly preview: Preview; readonly agent: Agent } | undefined>;
  readonly findGuest: (agent: Agent) => Promise<GuestClient | undefined>;
  readonly clock: Clock;
}

/** How long what the store said is believed. What is ended by this process ends at once. */
const believedMs = 1_000;

/** Beyond this, those that nobody uses are let go. */
const mostKept = 1_024;

/** The previews in use. Each ends by itself when its time is over. */
export class LivePreviews {
  readonly #options: LivePreviewsOptions;
  readonly #live = new Map<PreviewId, { readonly live: LivePreview; readonly cancelExpiry: () => void }>();
  #generation = 0;
  #isClosed = false;

  constructor(options: LivePreviewsOptions) {
    this.#options = options;
  }

  /** Undefined when it may not be used any more. */
  async find(id: PreviewId): Promise<LivePreview | undefined> {
    const { clock } = this.#options;
    const known = this.#live.get(id)?.live;
    if (known !== undefined && clock.elapsed() - known.checkedAt < believedMs) return known;
    const generation = this.#generation;
    const found = await this.#options.load(id);
    if (this.#isClosed) throw new CaissonError('DRAINING', 'The control plane is shutting down.');
    if (generation !== this.#generation) return await this.find(id); // something was ended while the store was asked
    const now = this.#live.get(id)?.live;
    if (found === undefined) this.end(id);
    else if (now === undefined) return this.#keep(found);
    else now.checkedAt = clock.elapsed();
    return found && now;
  }

  /** Ends one, with all that is open through it. */
  end(id: PreviewId): void {
    this.#generation++;
    const kept = this.#live.get(id);
    if (kept === undefined) return;
    this.#live.delete(id);
    kept.cancelExpiry();
    kept.live.end();
  }

  endKey(keyId: KeyId): void {
    this.#generation++;
    for (const [id, { live }] of this.#live) if (live.preview.keyId === keyId) this.end(id);
  }

  close(): void {
    this.#isClosed = true;
    for (const id of this.#live.keys()) this.end(id);
  }

  #keep({ preview, agent }: { readonly preview: Preview; readonly agent: Agent }): LivePreview {
    const { clock, findGuest } = this.#options;
    if (this.#live.size >= mostKept) {
      for (const [id, { live: other }] of this.#live) if (!other.isInUse) this.end(id);
    }
    const live = new LivePreview({
      preview,
      agent,
      checkedAt: clock.elapsed(),
      findGuest: () => findGuest(agent),
    });
    const cancelExpiry = clock.schedule(preview.expiresAt - clock.now(), () => this.end(preview.id));
    this.#live.set(preview.id, { live, cancelExpiry });
    return live;
  }
}
