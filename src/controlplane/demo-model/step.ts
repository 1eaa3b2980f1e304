import type { ToolCall } from './tool-calls.ts';

/** One response of the model: text, a tool call, or text and then a tool call. A response without a call ends the turn. */
export interface Reply {
  readonly kind: 'reply';
  /** Shown as reasoning before the text. */
  readonly thought?: string;
  readonly deltas?: Iterable<string>;
  readonly call?: ToolCall;
  /** Pause before each delta, in milliseconds, instead of the server's. */
  readonly delayMs?: number;
}

/** An answer that is no response: an HTTP status and an error in OpenAI's shape. */
interface Refusal {
  readonly kind: 'refusal';
  readonly status: number;
  readonly error: { readonly message: string; readonly type: string; readonly code: string | null };
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a script answers to one request. */
export type Step = Reply | Refusal;

/** The whole text of a turn's last answer, word by word. */
export function answer(text: string, options: { readonly delayMs?: number } = {}): Reply {
  return { kind: 'reply', deltas: words(text), ...options };
}

/** A tool call, with a sentence before it that says what is being done. */
export function act(call: ToolCall, say?: string): Reply {
  return { kind: 'reply', call, ...(say === undefined ? {} : { deltas: words(say) }) };
}

/** Splits text into words, each with the white space after it; joined they are the text again. */
function words(text: string): readonly string[] {
  return text.match(/\s*\S+\s*|\s+/g) ?? [];
}
