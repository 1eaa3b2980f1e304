import type { ServerHttp2Stream } from 'node:http2';

/** An error in the form of the OpenAI API, which harnesses read. */
export interface OpenAiError {
  readonly message: string;
  readonly type: 'invalid_request_error' | 'server_error' | 'rate_limit_error';
  readonly code: string;
}

/** Refuses a request whose answer has not begun. */
export function sendOpenAiError(stream: ServerHttp2Stream, status: number, error: OpenAiError): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.respond({ ':status': status, 'content-type': 'application/json' });
  stream.end(JSON.stringify({ error: { ...error, param: null } }));
}
