import { play } from './responses-answer.ts';
import { listenForResponses, type ListenOptions, type ResponsesServer } from './responses-server.ts';
import { demoScript } from './script.ts';

export interface DemoModelOptions {
  /** Pause before each word, in milliseconds, so that streaming can be seen. Default 15. */
  readonly delayMs?: number;
}

export interface DemoModel {
  /** Serves on a loopback address until closed. */
  listen(options?: ListenOptions): Promise<ResponsesServer>;
}

/** The name under which the demo model is listed. Codex picks its tools by this name, so it is one that it knows. */
const DEMO_MODEL_NAME = 'gpt-5.5';

/**
 * A model service for trying Caisson without a key: it speaks OpenAI's Responses API and follows a small script.
 * It holds no state, so it serves any number of sandboxes, and a retried request gets the same answer.
 */
export function createDemoModel({ delayMs = 15 }: DemoModelOptions = {}): DemoModel {
  return {
    listen: (options) =>
      listenForResponses(
        { models: [DEMO_MODEL_NAME], answer: (exchange) => play(exchange, demoScript(exchange.request), delayMs) },
        options,
      ),
  };
}
