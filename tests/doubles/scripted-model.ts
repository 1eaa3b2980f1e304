import { responseEvents } from '../../src/controlplane/demo-model/responses-events.ts';
import { play, sendEvent, startStream, type Exchange } from '../../src/controlplane/demo-model/responses-answer.ts';
import { listenForResponses, type ListenOptions } from '../../src/controlplane/demo-model/responses-server.ts';
import { answer } from '../../src/controlplane/demo-model/step.ts';
import { inflict, type Fault } from './scripted-model/faults.ts';
import { Gates } from './scripted-model/gates.ts';
import { Recording, type RecordedRequest } from './scripted-model/recording.ts';
import { testScript, type HeldAnswer, type TestScript, type TestStep } from './scripted-model/test-script.ts';

export { numberedWords } from './scripted-model/faults.ts';
export { streamedDeltas } from './scripted-model/test-script.ts';

export interface ScriptedModelOptions extends ListenOptions {
  /** Default: the demo script and the texts listed at `testScript`. */
  readonly script?: TestScript;
  /** Pause before each delta, in milliseconds. Default 0. */
  readonly delayMs?: number;
}

/** A model service for tests: the demo model's protocol and script, with faults, gates and a recording of requests. */
export interface ScriptedModel extends AsyncDisposable {
  /** Ends in `/v1`. */
  readonly baseUrl: string;
  /** The last 2,000 requests, oldest first. */
  readonly requests: readonly RecordedRequest[];
  /** How many requests have come in all. */
  readonly requestCount: number;
  /** The first request that matches, now or later; an error after `timeoutMs` (default 30 s). */
  waitForRequest(matches: (request: RecordedRequest) => boolean, timeoutMs?: number): Promise<RecordedRequest>;
  /** Hits the next `times` requests (default: all until `setFault(null)`), whatever they say. */
  setFault(fault: Fault | null, options?: { readonly times?: number }): void;
  /** Lets `hold <gate>` go on, now and later. */
  openGate(gate: string): void;
  close(): Promise<void>;
}

/** Starts a scripted model on a free loopback port. */
export async function startScriptedModel(options: ScriptedModelOptions = {}): Promise<ScriptedModel> {
  const { script = testScript, delayMs = 0, ...listenOptions } = options;
  const recording = new Recording();
  const gates = new Gates();
  const attempts = new Attempts();
  let set: { readonly fault: Fault; left: number } | null = null;

  const answerTo = async (exchange: Exchange): Promise<void> => {
    recording.add(exchange);
    if (set !== null && set.left > 0) {
      set.left -= 1;
      return inflict(set.fault, exchange);
    }
    await playTest(exchange, script(exchange.request));
  };

  const playTest = async (exchange: Exchange, step: TestStep): Promise<void> => {
    switch (step.kind) {
      case 'reply':
      case 'refusal':
        return play(exchange, step, delayMs);
      case 'held':
        return playHeld(exchange, step, gates);
      case 'fault':
        if (attempts.add(exchange) <= step.times) return inflict(step.fault, exchange);
        return play(exchange, answer('recovered'), delayMs);
    }
  };

  const server = await listenForResponses({ models: ['gpt-5.5'], answer: answerTo }, listenOptions);
  return {
    baseUrl: server.baseUrl,
    get requests() {
      return recording.requests;
    },
    get requestCount() {
      return recording.count;
    },
    waitForRequest: (matches, timeoutMs) => recording.waitFor(matches, timeoutMs),
    setFault: (fault, { times = Infinity } = {}) => {
      set = fault === null ? null : { fault, left: times };
    },
    openGate: (gate) => gates.open(gate),
    close: () => server.close(),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

async function playHeld(exchange: Exchange, { gate, before, after }: HeldAnswer, gates: Gates): Promise<void> {
  const { request, response, signal } = exchange;
  startStream(response);
  const reply = { kind: 'reply', deltas: [...before, ...after] } as const;
  let deltas = 0;
  for await (const event of responseEvents(reply, request, { delayMs: 0, signal })) {
    if (event.type === 'response.output_text.delta' && deltas++ === before.length) await gates.pass(gate, signal);
    await sendEvent(exchange, event);
  }
  response.end();
}

/** Counts the attempts of each turn, for faults that stop after some. Remembers the last 1,000 turns. */
class Attempts {
  readonly #counts = new Map<string, number>();

  /** Counts this attempt and gives its number, from 1. */
  add({ request, headers }: Exchange): number {
    const turn = JSON.stringify([headers['thread-id'], headers['x-codex-turn-metadata'], request.userText]);
    const count = (this.#counts.get(turn) ?? 0) + 1;
    this.#counts.set(turn, count);
    if (this.#counts.size > 1_000) this.#counts.delete(this.#counts.keys().next().value ?? turn);
    return count;
  }
}
