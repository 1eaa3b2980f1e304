import { shorten } from '../../kernel/json-text.ts';
import { journalBounds } from '../../wire/contract/journal-bounds.ts';
import type { JournalBody } from '../../wire/contract/journal-entry.ts';
import { fitEvent } from './fit-event.ts';

/** The body as the contract takes it: itself, or shortened, or several that say the same one after the other. */
export function fitBody(body: JournalBody): readonly JournalBody[] {
  switch (body.type) {
    case 'event':
      return fitEvent(body.event).map((event) => ({ ...body, event }));
    case 'harness.started':
      return [{ ...body, version: shorten(body.version, journalBounds.word) }];
    case 'harness.exited':
      return [{ ...body, stderr: shorten(body.stderr, journalBounds.stderr) }];
    case 'turn.ended': {
      const { outcome } = body;
      if (outcome.state === 'completed') return [body];
      return [{ ...body, outcome: { ...outcome, message: shorten(outcome.message, journalBounds.message) } }];
    }
    case 'session.opened':
    case 'turn.started':
    case 'port.opened':
    case 'port.closed':
      return [body];
  }
}
