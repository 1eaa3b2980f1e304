import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { z } from 'zod';
import { errorTable } from '../kernel/error-table.ts';
import { CaissonError, type toCaissonError } from '../kernel/errors.ts';

/** One request, on its way to its route. */
export interface InwardCall {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly query: URLSearchParams;
  readonly params: Readonly<Record<string, string>>;
}

/** One row of the table of `guest-api.ts`. */
export interface Route {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** A segment that begins with a colon is a parameter. */
  readonly path: string;
  /** Answers, or throws what is to be answered. */
  readonly handle: (call: InwardCall) => void | Promise<void>;
}

/** A prompt may hold images. */
const maxBodyBytes = 16 * 1024 * 1024;

/** `value` as the contract has it, or BAD_REQUEST that says what is wrong with `what`. */
export function parseInput<Output>(schema: z.ZodType<Output>, value: unknown, what: string): Output {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`;
  throw new CaissonError('BAD_REQUEST', `The ${what} is not valid${where}: ${issue?.message ?? 'unknown'}.`, {
    cause: parsed.error,
  });
}

/** Reads the request's body as JSON. BODY_TOO_LARGE above 16 MiB, BAD_REQUEST for what is no JSON. */
export async function readJsonBody(stream: ServerHttp2Stream): Promise<unknown> {
  const body = await readBody(stream, maxBodyBytes);
  try {
    return JSON.parse(body.toString());
  } catch (thrown) {
    throw new CaissonError('BAD_REQUEST', 'The body is not JSON.', { cause: thrown });
  }
}

/**
 * All that comes until the stream ends, which a lost session does as well. BODY_TOO_LARGE above `mostBytes`, ABORTED when the
 * caller has gone. By events: with the stream's iterator a small write takes the guest a tenth more.
 */
export function readBody(stream: ServerHttp2Stream, mostBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= mostBytes) chunks.push(chunk);
      else {
        chunks.length = 0;
        reject(new CaissonError('BODY_TOO_LARGE', `The body exceeds ${mostBytes} bytes.`));
      }
    });
    const gone = (): void => reject(callerGone());
    stream.once('close', gone).once('aborted', gone); // the latter alone for some resets: see `goneWith`
    stream.once('end', () => {
      stream.off('close', gone).off('aborted', gone);
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    });
  });
}

/** Aborts, with ABORTED, when the stream closes or is closed already: nobody waits for the work any more. */
export function goneWith(stream: ServerHttp2Stream): AbortSignal {
  const gone = new AbortController();
  const abort = (): void => gone.abort(callerGone());
  // A reset without an error code while there is more to send is told by 'aborted' alone: Node keeps such a stream.
  stream.once('close', abort).once('aborted', abort);
  if (stream.destroyed || stream.aborted) abort();
  return gone.signal;
}

/** ABORTED where the stream was given up or lost: 'close' and 'aborted' may have been told already. */
export function requireCaller(stream: ServerHttp2Stream): void {
  if (stream.destroyed || stream.aborted) throw callerGone();
}

function callerGone(): CaissonError {
  return new CaissonError('ABORTED', 'The caller has gone.');
}

export function answerJson(stream: ServerHttp2Stream, value: unknown): void {
  send(stream, 200, value);
}

export function answerError(stream: ServerHttp2Stream, error: ReturnType<typeof toCaissonError>): void {
  send(stream, errorTable[error.code].http, error);
}

function send(stream: ServerHttp2Stream, status: number, value: unknown): void {
  if (stream.closed || stream.destroyed || stream.headersSent) return; // a stream that is reset is closed first
  stream.respond({ ':status': status, 'content-type': 'application/json' });
  // What is left of the request has no reader. Not before the answer is out: of a stream that was read to its end and closes, Node 24.21
  // makes an error that nobody hears of, which takes the guest a tenth of a small request.
  stream.end(JSON.stringify(value), () => stream.resume());
}
