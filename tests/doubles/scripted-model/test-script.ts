import { demoScript } from '../../../src/controlplane/demo-model/script.ts';
import type { ModelRequest } from '../../../src/controlplane/demo-model/responses-request.ts';
import { answer, type Step } from '../../../src/controlplane/demo-model/step.ts';
import type { Fault } from './faults.ts';

/** A fault that the user's text asks for; `times` is how many attempts of the turn it hits (default: all). */
interface AskedFault {
  readonly kind: 'fault';
  readonly fault: Fault;
  readonly times: number;
}

/** Text, then a wait at a gate, then the rest. */
export interface HeldAnswer {
  readonly kind: 'held';
  readonly gate: string;
  readonly before: readonly string[];
  readonly after: readonly string[];
}

export type TestStep = Step | AskedFault | HeldAnswer;

/** Decides what is answered to a request. */
export type TestScript = (request: ModelRequest) => TestStep;

const LARGEST_STREAM = 64 * 1024 * 1024;

/**
 * The demo script, and these user texts for tests (`once` or `N times` at the end of a fault limits it to the first
 * attempts, after which the answer is `recovered`):
 *
 * - `stream <count> x <size>`: the deltas of `streamedDeltas(count, size)`, as fast as they are read
 * - `think <text>`: the text as reasoning, then the answer `thought`
 * - `hold <gate>`: `before `, then a wait for `openGate(gate)`, then `after`
 * - `http <status>`, `quota`, `cut after <n>`, `failed <code>`, `hang`, `silence`, `reset`: a fault
 */
export const testScript: TestScript = (request) => {
  if (request.purpose !== 'turn') return demoScript(request);
  const text = request.userText.trim();
  const stream = /^stream (\d+) x (\d+)$/.exec(text);
  if (stream !== null) {
    return { kind: 'reply', delayMs: 0, deltas: streamedDeltas(Number(stream[1]), Number(stream[2])) };
  }
  const thought = /^think ([\s\S]+)$/.exec(text)?.[1];
  if (thought !== undefined) return { ...answer('thought'), thought };
  const gate = /^hold (\S+)$/.exec(text)?.[1];
  if (gate !== undefined) return { kind: 'held', gate, before: ['before '], after: ['after'] };
  const asked = /^(.*?)(?: (once|\d+ times))?$/s.exec(text);
  const fault = faultOf(asked?.[1] ?? '');
  if (fault === undefined) return demoScript(request);
  const limit = asked?.[2];
  return {
    kind: 'fault',
    fault,
    times: limit === undefined ? Infinity : limit === 'once' ? 1 : Number.parseInt(limit),
  };
};

/** The deltas of `stream <count> x <size>`: each is its own number, from 1, padded with zeros to `size` with a line end. */
export function* streamedDeltas(count: number, size: number): Generator<string, void, void> {
  if (String(count).length >= size) throw new RangeError(`A delta of ${size} characters cannot hold ${count}.`);
  if (count * size > LARGEST_STREAM) throw new RangeError('A stream is at most 64 MiB.');
  for (let number = 1; number <= count; number++) yield `${String(number).padStart(size - 1, '0')}\n`;
}

function faultOf(text: string): Fault | undefined {
  const [name, argument = '', more = ''] = text.split(' ');
  switch (name) {
    case 'http':
      return /^\d{3}$/.test(argument) ? { kind: 'http', status: Number(argument) } : undefined;
    case 'cut':
      return argument === 'after' && /^\d+$/.test(more) ? { kind: 'cut', afterDeltas: Number(more) } : undefined;
    case 'failed':
      return argument === '' ? undefined : { kind: 'failed', code: argument };
    case 'quota':
    case 'hang':
    case 'silence':
    case 'reset':
      return argument === '' ? { kind: name } : undefined;
    default:
      return undefined;
  }
}
