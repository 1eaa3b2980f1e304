import type { ServerHttp2Stream } from 'node:http2';
import { CaissonError } from '../kernel/errors.ts';
import { errorTrailers } from './error-trailers.ts';
import type { Journal } from './journal.ts';

/** How much is handed to the stream at once. What is not handed out can still be merged. */
const batchBytes = 64 * 1024;
/** How long an entry that is not urgent waits for others to leave with. Codex asks its model some 30 to 60 ms after a prompt. */
const patienceMs = 100;

export interface JournalPump {
  /** Ends the stream with the reason in its trailer. */
  end(reason: CaissonError): void;
}

/**
 * Sends the journal's entries after `after` down `stream` as they come, at the end of each tick: what the harness
 * said in one piece leaves in one write, and a single delta waits for no timer; only what is not urgent does. Stops taking while the stream is full.
 * Throws BAD_REQUEST, before anything is sent, for an `after` that the journal cannot go on from.
 */
export function pumpJournal(journal: Journal, after: number, stream: ServerHttp2Stream): JournalPump {
  let state: 'idle' | 'scheduled' | 'blocked' | 'ended' = 'idle';
  let farewell: CaissonError | undefined;

  let timer: NodeJS.Timeout | undefined;
  const schedule = (): void => {
    if (state !== 'idle') return;
    state = 'scheduled';
    process.nextTick(flush);
  };
  const later = (): void => {
    timer = undefined;
    schedule();
  };
  const flush = (): void => {
    if (state !== 'scheduled') return;
    state = 'idle';
    clearTimeout(timer);
    timer = undefined;
    for (let lines = reader.take(batchBytes); lines !== ''; lines = reader.take(batchBytes)) {
      if (stream.write(lines)) continue;
      state = 'blocked';
      return;
    }
  };
  const end = (reason: CaissonError): void => {
    if (state === 'ended') return;
    state = 'ended';
    farewell = reason;
    reader.detach();
    stream.end();
  };
  const reader = journal.attach(after, {
    available: (isUrgent) => {
      if (isUrgent) schedule();
      else timer ??= setTimeout(later, patienceMs);
    },
    displaced: () => end(new CaissonError('STALE_LEASE', 'The journal is being read elsewhere now.')),
  });
  stream.on('drain', () => {
    if (state !== 'blocked') return;
    state = 'scheduled';
    flush();
  });
  stream.once('close', () => {
    state = 'ended';
    clearTimeout(timer);
    reader.detach();
  });
  stream.once('wantTrailers', () => stream.sendTrailers(errorTrailers(farewell)));
  stream.respond({ ':status': 200, 'content-type': 'application/x-ndjson' }, { waitForTrailers: true });
  schedule();
  return { end };
}
