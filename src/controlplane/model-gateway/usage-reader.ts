import { z } from 'zod';

/** Tokens of one model call, as the service counts them. */
export interface ModelUsage {
  readonly model: string | null;
  readonly inputTokens: number | null;
  readonly cachedInputTokens: number | null;
  readonly outputTokens: number | null;
  readonly reasoningTokens: number | null;
}

const tokens = z.int().min(0);

const responseSchema = z.object({
  model: z.string().max(200).nullish(),
  usage: z
    .object({
      input_tokens: tokens,
      input_tokens_details: z.object({ cached_tokens: tokens.nullish() }).nullish(),
      output_tokens: tokens,
      output_tokens_details: z.object({ reasoning_tokens: tokens.nullish() }).nullish(),
    })
    .nullish(),
});
const finalEventSchema = z.object({ response: responseSchema });

/** The events that end a response and carry its usage. */
const finalEvents = ['response.completed', 'response.incomplete', 'response.failed'];
/** The longest line or body that is looked into; a longer one passes all the same, its tokens unknown. */
const lookLimit = 4 * 1024 * 1024;
const newline = 10;
/** How much of a line shows whether it is worth keeping. */
const peekBytes = 256;

/**
 * Reads a model service's answer as it passes by, without holding it up, and remembers its usage. Takes server-sent
 * events or one JSON body. Keeps nothing but the event that ends the response: at most 4 MiB.
 */
export class UsageReader {
  readonly #isEventStream: boolean;
  #usage: ModelUsage | undefined;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  /** Of the line that is being read. */
  #line: 'unknown' | 'kept' | 'passed' = 'unknown';
  #nextDataIsFinal = false;

  constructor(contentType: string | undefined) {
    this.#isEventStream = contentType?.startsWith('text/event-stream') ?? false;
  }

  /** What has been seen so far. */
  get usage(): ModelUsage | undefined {
    return this.#usage;
  }

  read(chunk: Buffer): void {
    if (!this.#isEventStream) {
      this.#keep(chunk);
      return;
    }
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(newline, start);
      const part = chunk.subarray(start, end === -1 ? chunk.length : end);
      if (this.#line !== 'passed') this.#readPart(part, end !== -1);
      if (end === -1) return;
      this.#line = 'unknown';
      start = end + 1;
    }
  }

  /** The answer is over. */
  end(): void {
    if (this.#isEventStream) return;
    const text = Buffer.concat(this.#kept).toString();
    this.#kept = [];
    const parsed = responseSchema.safeParse(parseJson(text));
    if (parsed.success) this.#usage = usageOf(parsed.data);
  }

  #readPart(part: Buffer, isLineEnd: boolean): void {
    this.#keep(part);
    if (this.#line === 'unknown' && (isLineEnd || this.#keptBytes >= peekBytes)) {
      this.#line = this.#isWorthKeeping() ? 'kept' : 'passed';
    }
    if (!isLineEnd && this.#line !== 'passed') return;
    if (this.#line === 'kept') this.#readLine(Buffer.concat(this.#kept).toString());
    this.#kept = [];
    this.#keptBytes = 0;
  }

  #isWorthKeeping(): boolean {
    const head = Buffer.concat(this.#kept).subarray(0, peekBytes).toString('latin1');
    if (head.startsWith('event:')) return true;
    return head.startsWith('data:') && (this.#nextDataIsFinal || finalEvents.some((name) => head.includes(name)));
  }

  #readLine(line: string): void {
    if (line.startsWith('event:')) {
      this.#nextDataIsFinal = finalEvents.includes(line.slice('event:'.length).trim());
      return;
    }
    this.#nextDataIsFinal = false;
    const parsed = finalEventSchema.safeParse(parseJson(line.slice('data:'.length)));
    if (parsed.success) this.#usage = usageOf(parsed.data.response);
  }

  #keep(part: Buffer): void {
    if (this.#keptBytes > lookLimit) return;
    this.#keptBytes += part.length;
    if (this.#keptBytes > lookLimit) this.#kept = [];
    else this.#kept.push(part);
  }
}

function usageOf({ model = null, usage }: z.infer<typeof responseSchema>): ModelUsage {
  return {
    model,
    inputTokens: usage?.input_tokens ?? null,
    cachedInputTokens: usage?.input_tokens_details?.cached_tokens ?? null,
    outputTokens: usage?.output_tokens ?? null,
    reasoningTokens: usage?.output_tokens_details?.reasoning_tokens ?? null,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // no schema accepts it
  }
}
