import { createParser } from 'eventsource-parser';

/** An event of a response stream, as far as tests look at it. */
export interface SeenEvent {
  readonly type: string;
  readonly delta?: string;
  readonly item?: {
    readonly id: string;
    readonly type: string;
    readonly content?: readonly { readonly text: string }[];
  };
  readonly response?: { readonly status: string; readonly usage?: object; readonly output: readonly object[] };
}

export function post(baseUrl: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(`${baseUrl}/responses`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Asks for a streamed answer to one sentence and reads its events to the end. */
export async function streamed(baseUrl: string, text: string): Promise<readonly SeenEvent[]> {
  return eventsOf(await post(baseUrl, { model: 'gpt-5.5', stream: true, input: text }));
}

export async function eventsOf(response: Response): Promise<readonly SeenEvent[]> {
  const events: SeenEvent[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => {
      const parsed: SeenEvent = JSON.parse(data);
      if (parsed.type !== event) throw new Error(`The frame is named ${event}, its event ${parsed.type}.`);
      events.push(parsed);
    },
  });
  if (response.body === null) throw new Error('There is no body.');
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) parser.feed(text);
  return events;
}

export function deltasOf(events: readonly SeenEvent[]): readonly string[] {
  return events.flatMap((event) =>
    event.type === 'response.output_text.delta' && event.delta !== undefined ? [event.delta] : [],
  );
}
