import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import * as z from 'zod';
import { CaissonError, readErrorBody } from '../kernel/errors.ts';
import { percentEncodeBytes } from '../kernel/percent-bytes.ts';
import {
  completeTrailer,
  fileHeader,
  type FileInfo,
  fileInfoSchema,
  type FileList,
  fileListSchema,
  filePaths,
  type FilesUnpacked,
  filesUnpackedSchema,
  type FileWritten,
  fileWrittenSchema,
  type FolderRequest,
  maxItemLineBytes,
  type RemoveRequest,
  type SearchItem,
  searchItemSchema,
  type SearchRequest,
  type TransferRequest,
  type WatchItem,
  watchItemSchema,
  type WatchRequest,
} from './contract/files.ts';
import { errorTrailer } from './contract/guest-api.ts';
import { decodeHeaderJson } from './header-json.ts';
import { lineBatches } from './line-batches.ts';
import {
  brokenStream,
  type JsonRequest,
  leaveStream,
  openStream,
  refusalOf,
  readAnswer,
  requestJson,
  responseHeaders,
} from './requests.ts';
import { streamChunks } from './stream-chunks.ts';

/** A page of 5,000 entries whose names are as long as they may be together. */
const maxListAnswerBytes = 8 * 1024 * 1024;
/** A tree of many files is copied or removed for a while. */
const treeTimeoutMs = 10 * 60_000;

/** What a read asks for beside the path, as HTTP headers have it. */
export interface ContentConditions {
  readonly range?: string | undefined;
  readonly ifRange?: string | undefined;
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

export interface FileContent {
  /** 304: `content` is empty, as the caller has it already. */
  readonly status: 200 | 206 | 304;
  readonly file: FileInfo;
  /** Bytes that come, unless the stream breaks. */
  readonly length: number;
  readonly contentRange: string | undefined;
  /** Must be read to its end, by `wholeOf`, or destroyed. */
  readonly content: ClientHttp2Stream;
}

export interface PutOptions {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  /** Permission bits; not of a file that is appended to. */
  readonly mode?: number | undefined;
  /** When it last changed, in milliseconds since the epoch. Default: now. */
  readonly modifiedAt?: number | undefined;
  readonly append?: boolean | undefined;
  /** Makes the folders that are missing. */
  readonly parents?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An upload under way. */
export interface Upload<Answer> {
  /** End it only when everything was written; destroying it leaves the file as it was. */
  readonly body: ClientHttp2Stream;
  /** Rejects with the refusal of the guest, also before all is sent; WIRE_LOST; the signal's reason. */
  readonly answer: Promise<Answer>;
}

/** The files of one sandbox. Paths are bytes. Errors are those of `requestJson` and of `contract/files.ts`. */
export class FilesClient {
  readonly #session: ClientHttp2Session;

  constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  stat(
    path: Uint8Array,
    options: { readonly follow?: boolean; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<FileInfo> {
    const query = `path=${percentEncodeBytes(path)}${options.follow === false ? '&follow=0' : ''}`;
    return this.#ask({
      method: 'GET',
      path: `${filePaths.stat}?${query}`,
      answer: fileInfoSchema,
      signal: options.signal,
    });
  }

  list(
    path: Uint8Array,
    options: {
      readonly recursive: boolean;
      readonly after?: Uint8Array | undefined;
      readonly limit: number;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<FileList> {
    const after = options.after === undefined ? '' : `&after=${percentEncodeBytes(options.after)}`;
    const query = `path=${percentEncodeBytes(path)}&limit=${options.limit}${options.recursive ? '&recursive=1' : ''}${after}`;
    return this.#ask({
      method: 'GET',
      path: `${filePaths.list}?${query}`,
      answer: fileListSchema,
      maxAnswerBytes: maxListAnswerBytes,
      signal: options.signal,
    });
  }

  /** Opens a regular file. What is read is checked against what was announced by whoever reads it. */
  async open(path: Uint8Array, conditions: ContentConditions = {}, signal?: AbortSignal): Promise<FileContent> {
    const stream = openStream(this.#session, {
      headers: {
        ':method': 'GET',
        ':path': `${filePaths.content}?path=${percentEncodeBytes(path)}`,
        ...given('range', conditions.range),
        ...given('if-range', conditions.ifRange),
        ...given('if-match', conditions.ifMatch),
        ...given('if-none-match', conditions.ifNoneMatch),
      },
      signal,
      endStream: true,
    });
    const headers = await responseHeaders(stream, signal);
    const status = headers[':status'] ?? 0;
    if (status !== 200 && status !== 206 && status !== 304) throw await refusalOf(stream, status, signal);
    return { status, ...describeContent(stream, headers, status), content: stream };
  }

  /** Content of a known, small size: one request. */
  async write(path: Uint8Array, content: Uint8Array, options: PutOptions = {}): Promise<FileWritten> {
    const { body, answer } = this.put(path, { ...options, length: content.length });
    body.end(content);
    return await answer;
  }

  /** Content of any size, from a stream. Without a `length` the end of `body` counts. */
  put(path: Uint8Array, options: PutOptions & { readonly length?: number | undefined }): Upload<FileWritten> {
    const { append = false, parents = false, mode, modifiedAt, length, signal } = options;
    const flags = `${append ? '&append=1' : ''}${parents ? '&parents=1' : ''}`;
    const attributes = `${mode === undefined ? '' : `&mode=${mode}`}${modifiedAt === undefined ? '' : `&modifiedAt=${modifiedAt}`}`;
    return this.#upload(
      `${filePaths.content}?path=${percentEncodeBytes(path)}${flags}${attributes}`,
      fileWrittenSchema,
      {
        headers: {
          ...given('if-match', options.ifMatch),
          ...given('if-none-match', options.ifNoneMatch),
          ...given('content-length', length),
        },
        signal,
      },
    );
  }

  makeFolder(request: FolderRequest, signal?: AbortSignal): Promise<FileInfo> {
    return this.#ask({ method: 'POST', path: filePaths.folder, body: request, answer: fileInfoSchema, signal });
  }

  move(request: TransferRequest, signal?: AbortSignal): Promise<FileInfo> {
    return this.#askOfTree(filePaths.move, request, fileInfoSchema, signal);
  }

  copy(request: TransferRequest, signal?: AbortSignal): Promise<FileInfo> {
    return this.#askOfTree(filePaths.copy, request, fileInfoSchema, signal);
  }

  async remove(request: RemoveRequest, signal?: AbortSignal): Promise<void> {
    await this.#askOfTree(filePaths.remove, request, z.object({}), signal);
  }

  /** Ends with an item that says whether there may be more. */
  search(request: SearchRequest, signal?: AbortSignal): AsyncGenerator<SearchItem, void> {
    return this.#items(filePaths.search, request, searchItemSchema, signal, ({ type }) => type === 'end');
  }

  /** Ends only by throwing: WIRE_LOST, the signal's reason, or why the folder is not watched. */
  watch(request: WatchRequest, signal?: AbortSignal): AsyncGenerator<WatchItem, void> {
    return this.#items(filePaths.watch, request, watchItemSchema, signal, () => false);
  }

  /**
   * All that is in a folder, as an archive. Must be read to its end (`wholeOf`) or destroyed. It breaks with the reason that the
   * guest gives where it could not be finished.
   */
  async openArchive(path: Uint8Array, format: 'tar' | 'zip', signal?: AbortSignal): Promise<ClientHttp2Stream> {
    const stream = openStream(this.#session, {
      headers: { ':method': 'GET', ':path': `${filePaths.archive}?format=${format}&path=${percentEncodeBytes(path)}` },
      signal,
      endStream: true,
    });
    stream.once('trailers', (trailers) => {
      const failure = readErrorBody(decodeHeaderJson(trailers[errorTrailer]));
      if (failure !== undefined) stream.destroy(failure);
    });
    const status = (await responseHeaders(stream, signal))[':status'] ?? 0;
    if (status !== 200) throw await refusalOf(stream, status, signal);
    return stream;
  }

  /** Takes a tar archive. */
  unpack(path: Uint8Array, signal?: AbortSignal): Upload<FilesUnpacked> {
    return this.#upload(`${filePaths.archive}?path=${percentEncodeBytes(path)}`, filesUnpackedSchema, { signal });
  }

  #ask<Answer>(request: JsonRequest<Answer>): Promise<Answer> {
    return requestJson(this.#session, request);
  }

  #askOfTree<Answer>(
    path: string,
    body: unknown,
    answer: z.ZodType<Answer>,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    return this.#ask({ method: 'POST', path, body, answer, signal, timeoutMs: treeTimeoutMs });
  }

  #upload<Answer>(
    path: string,
    schema: z.ZodType<Answer>,
    options: { readonly headers?: OutgoingHttpHeaders; readonly signal: AbortSignal | undefined },
  ): Upload<Answer> {
    const { signal } = options;
    const length = options.headers?.['content-length'];
    const body = openStream(this.#session, {
      headers: { ...options.headers, ':method': 'PUT', ':path': path },
      signal,
      endStream: false,
      trailers: length === undefined ? { [completeTrailer]: '1' } : undefined,
    });
    const answer = readAnswer(body, { answer: schema, what: `PUT ${path.split('?', 1)[0]}`, signal });
    answer.catch(() => undefined); // its reader may be busy writing
    return { body, answer };
  }

  /** What follows no item that `isLast` was cut, though Node ends it as if it were whole. */
  async *#items<Item>(
    path: string,
    request: unknown,
    schema: z.ZodType<Item>,
    signal: AbortSignal | undefined,
    isLast: (item: Item) => boolean,
  ): AsyncGenerator<Item, void> {
    const stream = openStream(this.#session, {
      headers: { ':method': 'POST', ':path': path },
      use: 'wait',
      signal,
      endStream: false,
    });
    let farewell: unknown;
    let isOver = false;
    stream.once('trailers', (trailers) => (farewell = readErrorBody(decodeHeaderJson(trailers[errorTrailer]))));
    stream.end(JSON.stringify(request));
    try {
      const status = (await responseHeaders(stream, signal))[':status'] ?? 0;
      if (status !== 200) throw await refusalOf(stream, status, signal);
      const bounds = { maxLineBytes: maxItemLineBytes, maxLines: 64, maxBatchBytes: 1024 * 1024 };
      for await (const lines of lineBatches(streamChunks(stream, signal), bounds)) {
        for (const line of lines) {
          const item = readItem(line, schema);
          isOver ||= isLast(item);
          yield item;
        }
      }
      if (farewell !== undefined) throw farewell;
      if (!isOver) throw brokenStream(stream, signal);
    } catch (thrown) {
      if (thrown instanceof CaissonError) throw thrown;
      throw farewell ?? brokenStream(stream, signal);
    } finally {
      leaveStream(stream);
    }
  }
}

/**
 * The chunks of a stream that was announced as `length` bytes (undefined: not announced), and WIRE_LOST where they are fewer,
 * or where the stream was cut: what Node takes for an end may be none.
 */
export async function* wholeOf(stream: ClientHttp2Stream, length: number | undefined): AsyncGenerator<Buffer, void> {
  let received = 0;
  try {
    for await (const chunk of streamChunks(stream)) {
      received += chunk.length;
      if (length !== undefined && received > length) {
        throw new CaissonError('GUEST_PROTOCOL', 'The guest sent more than it had announced.');
      }
      yield chunk;
    }
  } catch (thrown) {
    if (received !== length || isProtocolError(thrown)) throw thrown; // else all of it came before
  }
  if (length !== undefined && received < length) throw brokenStream(stream);
}

function isProtocolError(thrown: unknown): boolean {
  return thrown instanceof CaissonError && thrown.code === 'GUEST_PROTOCOL';
}

function describeContent(
  stream: ClientHttp2Stream,
  headers: IncomingHttpHeaders,
  status: number,
): Pick<FileContent, 'file' | 'length' | 'contentRange'> {
  const file = fileInfoSchema.safeParse(decodeHeaderJson(headers[fileHeader]));
  const length = status === 304 ? 0 : Number(headers['content-length'] ?? Number.NaN);
  const contentRange = headers['content-range'];
  const isSound =
    file.success &&
    Number.isSafeInteger(length) &&
    length >= 0 &&
    length <= file.data.size &&
    (status === 206) === /^bytes \d{1,16}-\d{1,16}\/\d{1,16}$/.test(contentRange ?? '');
  if (isSound) return { file: file.data, length, contentRange };
  leaveStream(stream);
  throw new CaissonError('GUEST_PROTOCOL', 'The guest did not describe the file that it sends.');
}

function readItem<Item>(text: string, schema: z.ZodType<Item>): Item {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined; // no schema accepts it
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CaissonError('GUEST_PROTOCOL', 'The guest answered outside the contract.', { cause: parsed.error });
}

function given(name: string, value: string | number | undefined): OutgoingHttpHeaders {
  return value === undefined ? {} : { [name]: value };
}
