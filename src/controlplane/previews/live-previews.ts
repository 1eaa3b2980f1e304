import type { Agent } from '../../agents/agent.ts';
import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import type { AgentId, KeyId, PreviewId, UserId } from '../../kernel/ids.ts';
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

/** A user and an agent. */
interface Narrowed {
  readonly userId: UserId;
  readonly agentId: AgentId;
}

/** One question to the store, for all who wait for its answer. */
interface Question {
  /** What was ended for good since it was asked, which the store may not have known yet. */
  readonly ended: Set<PreviewId | KeyId>;
  /** The same of agents with which a user may do less. */
  readonly narrowed: Narrowed[];
  readonly answer: Promise<LivePreview | undefined>;
}

/** The previews in use. Each ends by itself when its time is over. */
export class LivePreviews {
  readonly #options: LivePreviewsOptions;
  readonly #live = new Map<PreviewId, { readonly live: LivePreview; readonly cancelExpiry: () => void }>();
  readonly #questions = new Map<PreviewId, Question>();
  #isClosed = false;

  constructor(options: LivePreviewsOptions) {
    this.#options = options;
  }

  /** Undefined when it may not be used any more. */
  async find(id: PreviewId): Promise<LivePreview | undefined> {
    const known = this.#live.get(id)?.live;
    if (known !== undefined && this.#options.clock.elapsed() - known.checkedAt < believedMs) return known;
    const question = this.#questions.get(id) ?? this.#ask(id);
    return await question.answer;
  }

  /** Ends one for good, with all that is open through it. The store knows it by now. */
  end(id: PreviewId): void {
    this.#questions.get(id)?.ended.add(id);
    this.#drop(id);
  }

  /** The same for all that were made with a key. */
  endKey(keyId: KeyId): void {
    for (const { ended } of this.#questions.values()) ended.add(keyId);
    for (const [id, { live }] of this.#live) if (live.preview.keyId === keyId) this.#drop(id);
  }

  /** Those of an agent that a user made are judged anew. What is open through them is cut. */
  endOf({ userId, agentId }: Narrowed): void {
    for (const { narrowed } of this.#questions.values()) narrowed.push({ userId, agentId });
    for (const [id, { live }] of this.#live) {
      if (isOf({ userId, agentId }, live.preview)) this.#drop(id);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const id of this.#live.keys()) this.#drop(id);
  }

  #ask(id: PreviewId): Question {
    const ended = new Set<PreviewId | KeyId>();
    const narrowed: Narrowed[] = [];
    const answer = this.#load(id, { ended, narrowed }).finally(() => this.#questions.delete(id));
    const question = { ended, narrowed, answer };
    this.#questions.set(id, question);
    return question;
  }

  async #load(
    id: PreviewId,
    { ended, narrowed }: Pick<Question, 'ended' | 'narrowed'>,
  ): Promise<LivePreview | undefined> {
    const found = await this.#options.load(id);
    if (this.#isClosed) throw new CaissonError('DRAINING', 'The control plane is shutting down.');
    if (found === undefined || ended.has(id) || ended.has(found.preview.keyId)) {
      this.#drop(id);
      return undefined;
    }
    if (narrowed.some((each) => isOf(each, found.preview))) return undefined; // the next visit asks anew
    const now = this.#live.get(id)?.live;
    if (now === undefined) return this.#keep(found);
    now.checkedAt = this.#options.clock.elapsed();
    return now;
  }

  #drop(id: PreviewId): void {
    const kept = this.#live.get(id);
    if (kept === undefined) return;
    this.#live.delete(id);
    kept.cancelExpiry();
    kept.live.end();
  }

  #keep({ preview, agent }: { readonly preview: Preview; readonly agent: Agent }): LivePreview {
    const { clock, findGuest } = this.#options;
    if (this.#live.size >= mostKept) {
      for (const [id, { live: other }] of this.#live) if (!other.isInUse) this.#drop(id);
    }
    const live = new LivePreview({
      preview,
      agent,
      checkedAt: clock.elapsed(),
      findGuest: () => findGuest(agent),
    });
    const cancelExpiry = clock.schedule(preview.expiresAt - clock.now(), () => this.#drop(preview.id));
    this.#live.set(preview.id, { live, cancelExpiry });
    return live;
  }
}

function isOf({ userId, agentId }: Narrowed, preview: Preview): boolean {
  return preview.createdBy === userId && preview.agentId === agentId;
}
