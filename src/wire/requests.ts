import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  Http2Stream,
  IncomingHttpHeaders,
  IncomingHttpStatusHeader,
  OutgoingHttpHeaders,
} from 'node:http2';
import { constants } from 'node:http2';
import type { z } from 'zod';
import { deadline } from '../kernel/deadline.ts';
import { CaissonError, errorText, readErrorBody } from '../kernel/errors.ts';
import { GatheredBytes } from '../kernel/gathered-bytes.ts';
import { hasJsonShape, type JsonBounds } from './json-shape.ts';
import { gatherSmallPieces } from './small-pieces.ts';
import { type StreamUse, takePlace } from './stream-places.ts';
import { tellWireCall } from './wire-calls.ts';

const defaultTimeoutMs = 30_000;
const defaultMaxAnswerBytes = 64 * 1024;
/** How long a session may refuse every stream. A burst is over sooner, and calls do not fail for long. */
const mostRefusingMs = 1_000;
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
  /** Default `call`. */
  readonly use?: StreamUse | undefined;
  /** Default 30 s, then DEADLINE_EXCEEDED. */
  readonly timeoutMs?: number;
  /** Default 64 KiB, then GUEST_PROTOCOL. */
  readonly maxAnswerBytes?: number;
  /** Of the answer, else GUEST_PROTOCOL: for one that is large enough to take long to parse. Default: any. */
  readonly shape?: JsonBounds;
}

/**
 * One request with JSON both ways. Rejects with the error that the peer sent, WIRE_LOST when the answer broke off,
 * GUEST_PROTOCOL when it is outside the contract, DEADLINE_EXCEEDED, LIMIT_REACHED (`stream-places.ts`), or the signal's reason.
 */
export async function requestJson<Answer>(session: ClientHttp2Session, request: JsonRequest<Answer>): Promise<Answer> {
  const { timeoutMs = defaultTimeoutMs, maxAnswerBytes = defaultMaxAnswerBytes } = request;
  using limit = deadline(timeoutMs, `${request.method} ${request.path}`, request.signal);
  const stream = openStream(session, {
    headers: { ...request.headers, ':method': request.method, ':path': request.path },
    signal: limit.signal,
    use: request.use,
    endStream: request.body === undefined,
  });
  if (request.body !== undefined) stream.end(JSON.stringify(request.body));
  const { answer } = request;
  return await readAnswer(stream, {
    answer,
    shape: request.shape,
    what: `${request.method} ${request.path}`,
    maxAnswerBytes,
    signal: limit.signal,
  });
}

interface ExpectedAnswer<Answer> {
  readonly answer: z.ZodType<Answer>;
  readonly shape?: JsonRequest<Answer>['shape'];
  /** The request, for errors. */
  readonly what: string;
  /** Default 64 KiB, then GUEST_PROTOCOL. */
  readonly maxAnswerBytes?: number;
  readonly signal: AbortSignal | undefined;
}

/** The JSON that a stream answers with, which is listened to from now on. Rejects as `requestJson` does. */
export async function readAnswer<Answer>(
  stream: ClientHttp2Stream,
  { answer, shape, what, maxAnswerBytes = defaultMaxAnswerBytes, signal }: ExpectedAnswer<Answer>,
): Promise<Answer> {
  let isCut = false;
  stream.once('end', () => (isCut = wasCut(stream)));
  const [status, text] = await Promise.all([responseStatus(stream, signal), readText(stream, maxAnswerBytes, signal)]);
  if (status !== 200) throw readRefusal(status, text);
  const isSound = shape === undefined || hasJsonShape(text, shape);
  const parsed = answer.safeParse(isSound ? parseJson(text) : undefined);
  if (parsed.success) return parsed.data;
  if (isCut) throw brokenStream(stream, signal);
  throw new CaissonError('GUEST_PROTOCOL', `${what} was answered outside the contract.`, { cause: parsed.error });
}

export interface StreamRequest {
  readonly headers: OutgoingHttpHeaders;
  /** Default `call`. */
  readonly use?: StreamUse | undefined;
  /** Ends the stream, in both directions, when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** True where the request has no body. */
  readonly endStream: boolean;
  /** Sent after the body, when it was ended: never when it was cut. Default: none. */
  readonly trailers?: OutgoingHttpHeaders | undefined;
  /** Whether the caller sends them itself, when 'wantTrailers' asks for them. Default false. */
  readonly waitForTrailers?: boolean;
}

/**
 * Opens a stream. Its errors are heard here; users watch 'close' or read it. Throws WIRE_LOST on a dead session, and
 * LIMIT_REACHED where the session has no place for it; a session that goes on refusing streams is ended.
 */
export function openStream(session: ClientHttp2Session, request: StreamRequest): ClientHttp2Stream {
  const { signal, use = 'call', trailers, waitForTrailers = trailers !== undefined } = request;
  signal?.throwIfAborted();
  const leave = takePlace(session, use);
  let stream: ClientHttp2Stream;
  try {
    stream = session.request(request.headers, {
      endStream: request.endStream,
      waitForTrailers,
    });
  } catch (thrown) {
    leave();
    throw new CaissonError('WIRE_LOST', 'The wire to the sandbox is down.', { cause: thrown });
  }
  gatherSmallPieces(stream);
  tellWireCall(request.headers, stream);
  stream.on('error', () => undefined); // also emits 'close'
  stream.once('close', leave);
  watchRefusals(session, stream);
  if (trailers !== undefined) stream.once('wantTrailers', () => stream.sendTrailers(trailers));
  if (signal !== undefined) {
    const abort = (): void => leaveStream(stream);
    signal.addEventListener('abort', abort, { once: true });
    stream.once('close', () => signal.removeEventListener('abort', abort));
  }
  return stream;
}

/** Since when a session has refused every stream of which anything was heard. */
const refusingSince = new WeakMap<ClientHttp2Session, number>();

/**
 * A session whose memory is used up refuses all streams from then on (`maxSessionMemory`): a new one has to take its place. One
 * that was full for a moment, in a burst of streams that were dropped, takes the next.
 */
function watchRefusals(session: ClientHttp2Session, stream: ClientHttp2Stream): void {
  stream.once('response', () => refusingSince.delete(session));
  stream.once('close', () => {
    if (stream.rstCode !== constants.NGHTTP2_ENHANCE_YOUR_CALM) return;
    const now = performance.now();
    const since = refusingSince.get(session) ?? now;
    refusingSince.set(session, since);
    if (now - since < mostRefusingMs) return;
    session.destroy(new CaissonError('WIRE_LOST', 'The wire to the sandbox takes no more streams.'));
  });
}

/** Gives a stream up. Without a code the peer would hear of it only when it has nothing more to send. Idempotent. */
export function leaveStream(stream: ClientHttp2Stream): void {
  stream.close(constants.NGHTTP2_CANCEL); // for the peer
  stream.destroy(); // for us, even where the peer hears nothing
}

/** The status of the answer, as soon as its headers are here. */
export async function responseStatus(stream: ClientHttp2Stream, signal?: AbortSignal): Promise<number> {
  return (await responseHeaders(stream, signal))[':status'] ?? 0;
}

/** The headers of the answer, as soon as they are here. */
export function responseHeaders(
  stream: ClientHttp2Stream,
  signal?: AbortSignal,
): Promise<IncomingHttpHeaders & IncomingHttpStatusHeader> {
  return new Promise((resolve, reject) => {
    const closed = (): void => reject(brokenStream(stream, signal));
    if (stream.destroyed) closed();
    stream.once('close', closed);
    stream.once('response', (headers) => {
      stream.off('close', closed);
      resolve(headers);
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
export function brokenStream(stream: Http2Stream, signal?: AbortSignal): unknown {
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
    const gathered = new GatheredBytes();
    stream.on('data', (chunk: Buffer) => {
      if (gathered.length + chunk.length <= maxBytes) return gathered.add(chunk);
      reject(new CaissonError('GUEST_PROTOCOL', `The guest's answer exceeds ${maxBytes} bytes.`));
      leaveStream(stream);
    });
    const closed = (): void => reject(brokenStream(stream, signal));
    stream.once('close', closed);
    stream.once('end', () => {
      stream.off('close', closed);
      resolve(gathered.bytes.toString());
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
