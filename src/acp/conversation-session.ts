import type { ConversationId, RunId } from '../kernel/ids.ts';
import { SerialQueue } from '../kernel/serial-queue.ts';
import type { HarnessEvent } from '../wire/contract/harness-event.ts';
import type { HarnessSink } from './harness.ts';
import type { HarnessProcess } from './harness-process.ts';
import { SessionProjection, type UnnamedChunks } from './projection/session-projection.ts';
import { updateName } from './projection/updates.ts';
import {
  choicesAfterUpdate,
  noChoices,
  usableChoices,
  type ChoiceKind,
  type SandboxModes,
  type SessionChoices,
} from './session-choices.ts';
import type { Turn } from './turn.ts';

export interface ConversationSessionOptions {
  readonly sink: HarnessSink;
  readonly unnamedChunks: UnnamedChunks;
  readonly modes: SandboxModes | null;
}

/** What is known of one conversation's ACP session. */
export class ConversationSession {
  readonly conversationId: ConversationId;
  readonly projection: SessionProjection;
  /** Opens and closes the session, one at a time. */
  readonly changes = new SerialQueue();
  /** The harness's id of it, once it has one. */
  sessionId: string | null = null;
  /** The process that has it open; null or an ended process: it must be opened again. */
  process: HarnessProcess | null = null;
  /** The mode and the model that the session has where nobody chose: those that it began with. */
  unchosen: Readonly<Record<ChoiceKind, string | null>> = { mode: null, model: null };
  /** While the harness repeats the transcript, which is known already. */
  isReplaying = false;
  turn: Turn | null = null;
  readonly #sink: HarnessSink;
  readonly #modes: SandboxModes | null;
  #choices: SessionChoices = noChoices;

  constructor(conversationId: ConversationId, { sink, unnamedChunks, modes }: ConversationSessionOptions) {
    this.conversationId = conversationId;
    this.projection = new SessionProjection({ unnamedChunks });
    this.#sink = sink;
    this.#modes = modes;
  }

  /** The modes and models of the open session, without those that do not work in a sandbox. */
  get choices(): SessionChoices {
    return this.#choices;
  }

  set choices(choices: SessionChoices) {
    this.#choices = usableChoices(choices, this.#modes);
  }

  record(events: readonly HarnessEvent[], runId: RunId | null): void {
    for (const event of events) {
      this.#sink.append({ type: 'event', conversationId: this.conversationId, runId, event });
    }
  }

  /** Takes one `session/update`. What arrives between turns belongs to no run. */
  update(update: unknown): void {
    const before = this.choices;
    this.choices = choicesAfterUpdate(before, update);
    if (this.isReplaying) return;
    const mode = this.choices.mode?.current;
    const changes: HarnessEvent[] =
      mode == null || mode === before.mode?.current ? [] : [{ type: 'session.updated', mode }];
    const isTold = changes.length > 0 && updateName(update) === 'current_mode_update';
    const events = isTold ? changes : [...this.projection.apply(update), ...changes];
    this.record(events, this.turn?.liveRunId ?? null);
    if (events.some(isProgress)) this.turn?.touch();
  }
}

/** A harness that only says that it tries again makes no progress. */
function isProgress(event: HarnessEvent): boolean {
  return event.type !== 'harness.other' || event.sessionUpdate !== 'session_info_update';
}
