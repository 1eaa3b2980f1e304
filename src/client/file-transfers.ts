import { CaissonError } from '../kernel/errors.ts';
import { pathToBytes } from '../kernel/file-path.ts';
import { percentEncodeBytes } from '../kernel/percent-bytes.ts';
import type { ApiOutputs } from './api.ts';
import { errorOfShape } from './call-answer.ts';
import { sandboxStartMs } from './call-limits.ts';
import { callFailed, type Endpoint, networkReason, notCaisson } from './endpoint.ts';
import { SilenceWatch } from './silence-watch.ts';

type Bytes = Uint8Array<ArrayBuffer>;
type Body = ReadableStream<Bytes> | Blob | Uint8Array<ArrayBuffer> | string;

/** How long a control plane may neither bring nor take anything of a transfer: as long as a sandbox may take to start. */
const silenceMs = sandboxStartMs;

/** Browsers send no stream over HTTP/1.1, and what they send by themselves they do not tell how far it is. */
const sendsStreams = Object.prototype.toString.call(globalThis.process) === '[object process]';

interface Of {
  readonly agentId: string;
  /** Absolute, or relative to /workspace. */
  readonly path: string;
  /** Breaks the transfer off. */
  readonly signal?: AbortSignal;
}

export interface DownloadOptions extends Of {
  /** Where to begin, in bytes. Default 0. */
  readonly start?: number;
  /** Where to end, exclusive; above `start`, else BAD_REQUEST: HTTP cannot ask for nothing. Default: the end of the file. */
  readonly end?: number;
  /** Only while the file is the one of this ETag: else FILE_CHANGED. */
  readonly ifMatch?: string;
}

/** A file under way. */
export interface Download {
  /** Fails with TRANSFER_BROKEN, also where the file became shorter meanwhile. Cancel it if it is not read to its end. */
  readonly stream: ReadableStream<Bytes>;
  /** Bytes that come. */
  readonly length: number;
  /** Of the whole file. */
  readonly size: number;
  readonly etag: string;
  /** Milliseconds since the epoch, to the second. */
  readonly modifiedAt: number;
}

/** A file of any size, or a part of it, as a stream that is sent as fast as it is read. */
export async function downloadFile(endpoint: Endpoint, options: DownloadOptions): Promise<Download> {
  const { start = 0, end, ifMatch, signal } = options;
  checkRange(start, end);
  const headers = new Headers({ 'accept-encoding': 'identity' });
  if (start > 0 || end !== undefined) headers.set('range', `bytes=${start}-${end === undefined ? '' : end - 1}`);
  if (ifMatch !== undefined) headers.set('if-match', ifMatch);
  const response = await get(endpoint, url(endpoint, 'file', options), { headers, signal });
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  const whole = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  const etag = response.headers.get('etag');
  if (etag === null || !Number.isSafeInteger(length)) throw notCaisson(endpoint.url, response);
  return {
    stream: streamOf(endpoint, response, length, signal),
    length,
    size: whole === undefined ? length : Number(whole),
    etag,
    modifiedAt: Date.parse(response.headers.get('last-modified') ?? ''),
  };
}

/** What HTTP has no way to ask for, it answers with the whole file. */
function checkRange(start: number, end: number | undefined): void {
  const isWhole = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
  if (isWhole(start) && (end === undefined || (isWhole(end) && end > start))) return;
  throw new CaissonError('BAD_REQUEST', `There are no bytes from ${start} to before ${end ?? 'the end'}.`, {
    hint: '`start` and `end` are whole numbers of bytes, and `end` is above `start`.',
  });
}

export interface UploadOptions extends Of {
  /**
   * A stream is sent as it comes (in browsers: give a Blob, such as a File, and a `signal` if it is not to wait for ever for a
   * control plane that stands still); what it fails with, the upload fails with.
   */
  readonly body: Body;
  readonly ifMatch?: string;
  /** `*`: only where there is no file yet. */
  readonly ifNoneMatch?: string;
  /** Permission bits, such as 0o755. Default: of a file that is replaced, its own; of a new one 0o644. */
  readonly mode?: number;
  /** When it last changed, in milliseconds since the epoch. Default: now. */
  readonly modifiedAt?: number;
  /** Makes the folders that are missing. */
  readonly parents?: boolean;
}

/** Writes a file of any size. It appears under its name when all of it came; until then, and if it breaks, it is as before. */
export async function uploadFile(endpoint: Endpoint, options: UploadOptions): Promise<ApiOutputs['files']['write']> {
  const headers = new Headers();
  if (options.ifMatch !== undefined) headers.set('if-match', options.ifMatch);
  if (options.ifNoneMatch !== undefined) headers.set('if-none-match', options.ifNoneMatch);
  const { mode, modifiedAt, parents } = options;
  const attributes = `${mode === undefined ? '' : `&mode=${mode}`}${modifiedAt === undefined ? '' : `&modifiedAt=${Math.trunc(modifiedAt)}`}`;
  const target = `${url(endpoint, 'file', options)}${attributes}${parents === true ? '&parents=1' : ''}`;
  return (await put(endpoint, target, options, headers)) as ApiOutputs['files']['write'];
}

export interface DownloadArchiveOptions extends Of {
  /** Default: tar. */
  readonly format?: 'tar' | 'zip';
}

/**
 * All that is in a folder, with names relative to it. Where a part of it cannot be read, that is the error (FILE_ACCESS_DENIED), or,
 * when some of it was sent by then, the stream fails with TRANSFER_BROKEN.
 */
export async function downloadArchive(
  endpoint: Endpoint,
  options: DownloadArchiveOptions,
): Promise<ReadableStream<Bytes>> {
  const { format = 'tar', signal } = options;
  return await openStream(endpoint, `${url(endpoint, 'archive', options)}&format=${format}`, signal);
}

/** An answer of a length that nobody knows, as a stream. */
export async function openStream(
  endpoint: Endpoint,
  target: string,
  signal: AbortSignal | undefined,
): Promise<ReadableStream<Bytes>> {
  const response = await get(endpoint, target, { signal });
  return streamOf(endpoint, response, undefined, signal);
}

export interface UploadArchiveOptions extends Of {
  /** A tar archive; as in `UploadOptions`. */
  readonly body: Body;
}

/** What was unpacked. */
export interface Unpacked {
  readonly files: number;
  readonly folders: number;
  readonly links: number;
  readonly bytes: number;
}

/**
 * Unpacks a tar archive into a folder of the sandbox, which is made where it is missing. PATH_FORBIDDEN for an entry that
 * would lead out of it, and for devices. Nothing of it appears before all of it is good.
 */
export async function uploadArchive(endpoint: Endpoint, options: UploadArchiveOptions): Promise<Unpacked> {
  return (await put(endpoint, url(endpoint, 'archive', options), options, new Headers())) as Unpacked;
}

function url(endpoint: Endpoint, what: 'file' | 'archive', { agentId, path }: Of): string {
  const bytes = pathToBytes(path);
  if (bytes === undefined) throw new CaissonError('BAD_REQUEST', 'The path is not valid text.');
  return `${endpoint.url}/v1/agents/${encodeURIComponent(agentId)}/${what}?path=${percentEncodeBytes(bytes)}`;
}

async function put(
  endpoint: Endpoint,
  target: string,
  { body, signal }: { readonly body: Body; readonly signal?: AbortSignal },
  headers: Headers,
): Promise<unknown> {
  headers.set('content-type', 'application/octet-stream');
  // Whatever fails in the caller's stream is its own error, not a control plane that cannot be reached.
  let failure: { readonly thrown: unknown } | undefined;
  const over = new AbortController();
  const gone = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
  const silence = new SilenceWatch(endpoint.url, silenceMs, (error) => over.abort(error));
  const onFailure = (thrown: unknown): void => void (failure ??= { thrown });
  const init: RequestInit & { duplex?: 'half' } = { method: 'PUT', body, headers, signal: gone };
  if (body instanceof ReadableStream || sendsStreams) {
    init.body = watched(asStream(body, headers), { gone, silence, onFailure });
    init.duplex = 'half';
    silence.start();
  }
  try {
    const response = await request(endpoint, target, init);
    return await response.json();
  } catch (thrown) {
    if (failure !== undefined) throw failure.thrown;
    throw transferFailed(endpoint.url, thrown, {
      signal,
      what: 'upload',
      hint: 'Try again. Where only the answer was lost, it was written.',
    });
  } finally {
    silence.stop();
    over.abort();
  }
}

function asStream(body: Body, headers: Headers): ReadableStream<Bytes> {
  if (body instanceof ReadableStream) return body;
  const blob = new Blob([body]);
  headers.set('content-length', String(blob.size));
  return blob.stream();
}

interface Watched {
  readonly gone: AbortSignal;
  /** Runs while nothing is asked for, not while the caller's stream has nothing to give. */
  readonly silence: SilenceWatch;
  readonly onFailure: (thrown: unknown) => void;
}

/**
 * Hands on what is read, one piece at a time, and tells why it failed. Ends when `gone` aborts: Node's fetch would go on to read
 * a body that nobody takes any more.
 */
function watched(body: ReadableStream<Bytes>, { gone, silence, onFailure }: Watched): ReadableStream<Bytes> {
  const reader = body.getReader();
  return new ReadableStream<Bytes>(
    {
      async pull(controller) {
        if (gone.aborted) {
          controller.error(gone.reason);
          await reader.cancel(gone.reason);
          return;
        }
        try {
          silence.stop();
          const { done, value } = await reader.read();
          if (!gone.aborted) silence.start();
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (thrown) {
          onFailure(thrown);
          throw thrown;
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/** An answer with its body still to come: that is watched apart. */
async function get(
  endpoint: Endpoint,
  target: string,
  { headers = new Headers(), signal }: { readonly headers?: Headers; readonly signal: AbortSignal | undefined },
): Promise<Response> {
  const silent = new AbortController();
  const silence = new SilenceWatch(endpoint.url, silenceMs, (error) => silent.abort(error));
  silence.start();
  try {
    const either = signal === undefined ? silent.signal : AbortSignal.any([silent.signal, signal]);
    return await request(endpoint, target, { headers, signal: either });
  } catch (thrown) {
    throw transferFailed(endpoint.url, thrown, { signal, what: 'download' });
  } finally {
    silence.stop();
  }
}

/** An answer of 2xx; else throws the error that the control plane sent. */
async function request(endpoint: Endpoint, target: string, init: RequestInit): Promise<Response> {
  const response = await endpoint.fetch(target, { ...init, cache: 'no-store' });
  if (response.ok) return response;
  if (!(response.headers.get('content-type') ?? '').startsWith('application/json')) {
    await response.body?.cancel();
    throw notCaisson(endpoint.url, response);
  }
  const body: unknown = await response.json();
  if (typeof body === 'object' && body !== null && 'error' in body) throw errorOfShape(body.error);
  throw notCaisson(endpoint.url, response);
}

/** The body, whose failures are ours, and which never ends early without one. */
function streamOf(
  endpoint: Endpoint,
  response: Response,
  length: number | undefined,
  signal: AbortSignal | undefined,
): ReadableStream<Bytes> {
  const reader = response.body?.getReader();
  const silent = Promise.withResolvers<never>();
  silent.promise.catch(() => undefined); // nobody may be reading
  const silence = new SilenceWatch(endpoint.url, silenceMs, (error) => silent.reject(error));
  let received = 0;
  return new ReadableStream<Bytes>(
    {
      async pull(controller) {
        let piece: Bytes | undefined;
        try {
          silence.start();
          piece = reader === undefined ? undefined : (await Promise.race([reader.read(), silent.promise])).value;
        } catch (thrown) {
          reader?.cancel(thrown).catch(() => undefined); // one that is broken off rejects
          const failure = callFailed(endpoint.url, thrown, signal);
          throw failure.code === 'CONTROL_PLANE_UNREACHABLE' ? brokenOff(received, length, thrown) : failure;
        } finally {
          silence.stop();
        }
        if (piece !== undefined) {
          received += piece.length;
          controller.enqueue(piece);
        } else if (length !== undefined && received < length) {
          throw brokenOff(received, length);
        } else controller.close();
      },
      cancel: (reason) => reader?.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

/** The control plane was there, and may be still: whether the wire, the sandbox or the network broke is not known here. */
function brokenOff(received: number, length: number | undefined, cause?: unknown): CaissonError {
  const of = length === undefined ? '' : ` of ${length}`;
  return new CaissonError('TRANSFER_BROKEN', `The transfer broke off after ${received}${of} bytes.`, {
    details: { received, ...(length === undefined ? {} : { length }) },
    cause,
  });
}

/** How Node says that a connection broke which was there. Browsers tell no reason at all. */
const broke: ReadonlySet<unknown> = new Set(['EPIPE', 'ECONNRESET', 'UND_ERR_SOCKET']);

interface Failed {
  readonly signal: AbortSignal | undefined;
  readonly what: 'upload' | 'download';
  readonly hint?: string;
}

/** What a transfer means that ended before its answer: a connection that broke was there. */
function transferFailed(url: string, thrown: unknown, { signal, what, ...hint }: Failed): CaissonError {
  const failure = callFailed(url, thrown, signal);
  const { cause: fetchFailed } = failure;
  const reason = fetchFailed instanceof Error ? fetchFailed.cause : undefined;
  if (!(reason instanceof Error && 'code' in reason && broke.has(reason.code))) return failure;
  return new CaissonError('TRANSFER_BROKEN', `The ${what} broke off: ${networkReason(fetchFailed)}.`, {
    ...hint,
    details: { url },
    cause: fetchFailed,
  });
}
