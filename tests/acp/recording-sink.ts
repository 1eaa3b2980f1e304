import type { HarnessSink } from '../../src/acp/harness.ts';
import type { HarnessEvent } from '../../src/wire/contract/harness-event.ts';
import { journalBodySchema, type JournalBody } from '../../src/wire/contract/journal-entry.ts';
import type { TurnOutcome } from '../../src/wire/contract/turn.ts';
import { until } from '../until.ts';

/** A journal for tests: keeps everything, checks it against the contract, and can be made to have no room. */
export class RecordingSink implements HarnessSink {
  readonly bodies: JournalBody[] = [];
  #gate = Promise.withResolvers<void>();

  constructor() {
    this.#gate.resolve();
  }

  append(body: JournalBody): void {
    this.bodies.push(journalBodySchema.parse(body));
  }

  room(): Promise<void> {
    return this.#gate.promise;
  }

  full(): void {
    this.#gate = Promise.withResolvers();
  }

  empty(): void {
    this.#gate.resolve();
  }

  of<Type extends JournalBody['type']>(type: Type): Extract<JournalBody, { type: Type }>[] {
    return this.bodies.filter((body): body is Extract<JournalBody, { type: Type }> => body.type === type);
  }

  /** The events of a run; null: those between turns. */
  events(runId: string | null): HarnessEvent[] {
    return this.of('event').flatMap((body) => (body.runId === runId ? [body.event] : []));
  }

  event<Type extends HarnessEvent['type']>(
    runId: string | null,
    type: Type,
  ): Promise<Extract<HarnessEvent, { type: Type }>> {
    return until(`${type} of ${runId}`, () =>
      this.events(runId).find((event): event is Extract<HarnessEvent, { type: Type }> => event.type === type),
    );
  }

  started(runId: string): Promise<unknown> {
    return until(`the start of ${runId}`, () => this.of('turn.started').some((body) => body.runId === runId));
  }

  outcome(runId: string): Promise<TurnOutcome> {
    return until(`the end of ${runId}`, () => this.of('turn.ended').find((body) => body.runId === runId)?.outcome);
  }

  /** The whole messages of a run, as text. */
  messages(runId: string | null): string[] {
    return this.events(runId).flatMap((event) =>
      event.type === 'message.completed'
        ? [event.content.map((block) => (block.type === 'text' ? block.text : `[${block.type}]`)).join('')]
        : [],
    );
  }
}
