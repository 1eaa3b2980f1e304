import type { ClientHttp2Session } from 'node:http2';
import { CaissonError } from '../kernel/errors.ts';
import { inwardStreams } from './http2-settings.ts';

/**
 * What a stream is for: a `call` is answered soon; a `wait` lasts by design, such as a log that is followed, a terminal or a
 * connection to a port; the control plane's `own` drive the harness.
 */
export type StreamUse = 'call' | 'wait' | 'own';

/** Of one session, whoever asks. Each may hold a window of 1 MiB for a reader who is slow. */
const mostWaits = 256;
/** Waits and calls of one session. What is left is the control plane's own, of which nobody outside decides how many there are. */
const mostOfCallers = inwardStreams - 64;

interface Taken {
  waits: number;
  ofCallers: number;
}

const taken = new WeakMap<ClientHttp2Session, Taken>();

/**
 * Takes a place for a stream in its session; what it returns gives it back. So there is always room for calls beside what
 * waits, and for the harness beside both: above its streams a session makes new ones wait, without a bound.
 *
 * @throws CaissonError LIMIT_REACHED, never for `own`.
 */
export function takePlace(session: ClientHttp2Session, use: StreamUse): () => void {
  if (use === 'own') return () => undefined;
  const places = taken.get(session) ?? { waits: 0, ofCallers: 0 };
  const waits = use === 'wait' ? 1 : 0;
  if (places.waits + waits > mostWaits) {
    throw new CaissonError('LIMIT_REACHED', `${mostWaits} calls that wait are open in the sandbox already.`, {
      hint: 'End waits, logs, watches, terminals or connections to ports that are no longer needed.',
    });
  }
  if (places.ofCallers === mostOfCallers) {
    throw new CaissonError('LIMIT_REACHED', `${mostOfCallers} calls are under way in the sandbox already.`, {
      hint: 'Try again when some of them have ended, and make fewer at once.',
    });
  }
  taken.set(session, places);
  places.waits += waits;
  places.ofCallers++;
  return () => {
    places.waits -= waits;
    places.ofCallers--;
  };
}
