import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import { constants } from 'node:http2';
import type { z } from 'zod';
import { deadline } from '../kernel/deadline.ts';
import { CaissonError, errorText, readErrorBody } from '../kernel/errors.ts';

const defaultTimeoutMs = 30_000;
const defaultMaxAnswerBytes = 64 * 1024;
/** What an error of the guest may say: it ends up in the records of runs and sandboxes. */
const maxRefusalCharacters = 32 * 1024;

export interface JsonRequest<Answer> {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  /** What is sent, as JSON. Default: nothing. */
  readonly body?: unknown;
  readonly headers?: OutgoingHttpHeaders;
  readonly answer: z.ZodType<Answer>;
  readonly signal?: AbortSignal | undefined;
  /** Default 30 s, then DEADLINE_EXCEEDED. */
  readonly timeoutMs?: number;
  /** Default 64 KiB, then GUEST_PROTOCOL. */
  readonly maxAnswerBytes?: number;
}

/**
 * One request with JSON both ways. Rejects with the error that the peer sent, WIRE_LOST when the answer broke off,
 * GUEST_PROTOCOL when it is outside the contract, DEADLINE_EXCEEDED, or the signal's reason.
 */
export async function requestJson<Answer>(session: ClientHttp2Session, request: JsonRequest<Answer>): Promise<Answer> {
  const { timeoutMs = defaultTimeoutMs, maxAnswerBytes = defaultMaxAnswerBytes } = request;
  using limit = deadline(timeoutMs, `${request.method} ${request.path}`, request.signal);
  const stream = openStream(session, {
    headers: { ...request.headers, ':method': request.method, ':path': request.path },
    signal: limit.signal,
    endStream: request.body === undefined,
  });
  if (request.body !== undefined) stream.end(JSON.stringify(request.body));
  const [status, text] = await Promise.all([
    responseStatus(stream, limit.signal),
    readText(stream, maxAnswerBytes, limit.signal),
  ]);
  if (status !== 200) throw readRefusal(status, text);
  const parsed = request.answer.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new CaissonError('GUEST_PROTOCOL', `${request.method} ${request.path} was answered outside the contract.`, {
      cause: parsed.error,
    });
  }
  return parsed.data;
}

export interface StreamRequest {
  readonly headers: OutgoingHttpHeaders;
  /** Ends the stream, in both directions, when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** True where the request has no body. */
  readonly endStream: boolean;
  /** Whether trailers follow the body: 'wantTrailers' then asks for them. Default false. */
  readonly waitForTrailers?: boolean;
}

/** Opens a stream. Its errors are heard here; users watch 'close' or read it. Throws WIRE_LOST on a dead session. */
export function openStream(session: ClientHttp2Session, request: StreamRequest): ClientHttp2Stream {
  const { signal, endStream, waitForTrailers = false } = request;
  signal?.throwIfAborted();
  let stream: ClientHttp2Stream;
  try {
    stream = session.request(request.headers, { endStream, waitForTrailers });
  } catch (thrown) {
    throw new CaissonError('WIRE_LOST', 'The wire to the sandbox is down.', { cause: thrown });
  }
  stream.on('error', () => undefined); // also emits 'close'
  if (signal !== undefined) {
    const abort = (): void => {
      stream.close(constants.NGHTTP2_CANCEL); // for the peer
      stream.destroy(); // for us, even where the peer hears nothing
    };
    signal.addEventListener('abort', abort, { once: true });
    stream.once('close', () => signal.removeEventListener('abort', abort));
  }
  return stream;
}

/** The status of the answer, as soon as its headers are here. */
export function responseStatus(stream: ClientHttp2Stream, signal?: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const closed = (): void => reject(brokenStream(stream, signal));
    if (stream.destroyed) closed();
    stream.once('close', closed);
    stream.once('response', (headers) => {
      stream.off('close', closed);
      resolve(headers[':status'] ?? 0);
    });
  });
}

/**
 * Whether an answer that has just emitted 'end' ended because its wire did. Node 24.21 ends the streams of a lost session
 * as if they were complete. An answer whose wire is lost right after it may count as cut as well.
 */
export function wasCut(stream: ClientHttp2Stream): boolean {
  return stream.rstCode !== constants.NGHTTP2_NO_ERROR || stream.session === undefined || stream.session.destroyed;
}

/** Why a stream ended before its time. */
export function brokenStream(stream: ClientHttp2Stream, signal?: AbortSignal): unknown {
  if (signal?.aborted === true) return signal.reason;
  const { errored } = stream;
  if (errored instanceof CaissonError) return errored;
  const how = errored === null ? `reset with code ${stream.rstCode ?? constants.NGHTTP2_NO_ERROR}` : errorText(errored);
  return new CaissonError('WIRE_LOST', `The answer of the sandbox broke off: ${how}.`, { cause: errored ?? undefined });
}

/** The body of an answer that is not 200, as the error to throw. Reads at most 64 KiB. */
export async function refusalOf(stream: ClientHttp2Stream, status: number, signal?: AbortSignal): Promise<Error> {
  return readRefusal(status, await readText(stream, defaultMaxAnswerBytes, signal));
}

function readRefusal(status: number, text: string): Error {
  return (
    (text.length > maxRefusalCharacters ? undefined : readErrorBody(parseJson(text))) ??
    new CaissonError('GUEST_PROTOCOL', `The guest answered ${status} without a reason.`)
  );
}

function readText(stream: ClientHttp2Stream, maxBytes: number, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    if (stream.readableEnded) resolve('');
    else if (stream.destroyed) reject(brokenStream(stream, signal));
    const chunks: Buffer[] = [];
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= maxBytes) return;
      reject(new CaissonError('GUEST_PROTOCOL', `The guest's answer exceeds ${maxBytes} bytes.`));
      stream.destroy();
    });
    const closed = (): void => reject(brokenStream(stream, signal));
    stream.once('close', closed);
    stream.once('end', () => {
      stream.off('close', closed);
      resolve(Buffer.concat(chunks).toString());
    });
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // no schema accepts it
  }
}
