import type { ServerHttp2Stream } from 'node:http2';
import type { ModelApi } from './apis/model-api.ts';
import type { GatewayError } from './gateway-error.ts';

/** Refuses a request whose answer has not begun, in the form of the API that it was made of. */
export function sendError(stream: ServerHttp2Stream, api: ModelApi, error: GatewayError): void {
  if (stream.destroyed || stream.headersSent) return;
  stream.respond({ ':status': error.status, 'content-type': 'application/json', ...error.headers });
  stream.end(JSON.stringify(api.errorBody(error)));
}
