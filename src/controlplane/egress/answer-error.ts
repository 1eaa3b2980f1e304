import type { ServerHttp2Stream } from 'node:http2';
import { errorTable } from '../../kernel/error-table.ts';
import type { CaissonError } from '../../kernel/errors.ts';

/** Answers a request for a connection with why there is none. Does nothing where it was answered before, or has gone. */
export function answerError(stream: ServerHttp2Stream, error: CaissonError): void {
  if (stream.closed || stream.destroyed || stream.headersSent) return;
  stream.respond({ ':status': errorTable[error.code].http, 'content-type': 'application/json' });
  stream.end(JSON.stringify(error));
  stream.resume(); // what is left of the request has no reader
}

/** The same to a program that speaks plain HTTP, as an answer that ends its connection. */
export function httpRefusal({ code, message, hint }: CaissonError): Buffer {
  const body = `${code}: ${message} ${hint}\n`;
  const head = [
    `HTTP/1.1 ${errorTable[code].http} ${code}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`);
}
