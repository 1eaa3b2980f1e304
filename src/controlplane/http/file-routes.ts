import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorCode } from '../../kernel/error-table.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import { agentIdSchema } from '../../kernel/ids.ts';
import { queryBytes } from '../../kernel/percent-bytes.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { FileInfo } from '../../wire/contract/files.ts';
import { type Upload, wholeOf } from '../../wire/files-client.ts';
import type { GuestClient } from '../../wire/guest-client.ts';
import { gatherSmallPieces, holdBackSmallPieces } from '../../wire/small-pieces.ts';
import type { OpenCalls } from '../api/open-calls.ts';
import type { Recorder } from '../audit/audited.ts';
import type { Workspaces } from '../workspace/workspaces.ts';
import type { Admit, Identify } from './admit.ts';
import { auditedRequest } from './audited-request.ts';
import { safeContentHeaders } from './content-headers.ts';
import { needOfRoute } from './route-needs.ts';
import { sendStream } from './send-stream.ts';

interface FileRoutesOptions {
  readonly workspaces: Pick<Workspaces, 'open' | 'openToWrite'>;
  readonly admit: Admit;
  /** Each request takes a place. */
  readonly transfers: OpenCalls;
  /** A body that brings nothing for this long is given up, and a reader who makes no room for `readerPatience` times as long. */
  readonly stallMs: number;
  readonly identify: Identify;
  /** Each upload has a record, and each request that is refused. */
  readonly recorder: Recorder;
  /** Of who sent a request. */
  readonly addressOf: (request: IncomingMessage) => string;
  readonly logger: Logger;
}

type AgentRequest = FastifyRequest<{ Params: { agentId: string } }>;

/** Errors that end a transfer which nobody refused. */
const cuts: ReadonlySet<ErrorCode> = new Set([
  'DEADLINE_EXCEEDED',
  'WIRE_LOST',
  'GUEST_PROTOCOL',
  'INTERNAL',
  'ABORTED',
]);

/** What a request is about, when its caller and its agent are known. */
interface Opened {
  readonly guest: GuestClient;
  readonly path: Uint8Array;
  /** Aborts when the caller leaves, or its key is revoked. */
  readonly signal: AbortSignal;
  /** Tells the log what ended a transfer before its end, and after how many bytes. `isCut`: rather than refused. Default: by its code. */
  readonly onCut: (bytes: number, err: unknown, isCut?: boolean) => void;
}

/**
 * Files and folders of any size, as streams, under the API's keys:
 *
 * - `GET`, `HEAD` and `PUT /v1/agents/:agentId/file?path=…`: one file. Range, If-Range, If-Match, If-None-Match and ETag as
 *   in HTTP. `PUT` takes `mode` (decimal), `modifiedAt` (milliseconds since the epoch) and `parents=1`, and answers as
 *   `files.write` does. A cut upload changes nothing.
 * - `GET` and `PUT /v1/agents/:agentId/archive?path=…`: all that is in a folder, `format=tar` or `zip`; `PUT` unpacks a tar
 *   there, in the sandbox.
 *
 * `path` is percent-encoded bytes. What is sent is an attachment of no type that a browser would show: nothing of a sandbox
 * is rendered on this origin. Never is more in memory than the windows of the wire. TOO_MANY_CONNECTIONS where too many are
 * under way; whoever stalls, and whoever's key is revoked, is cut off.
 */
export function serveFiles(app: FastifyInstance, options: FileRoutesOptions): void {
  void app.register(async (scope) => {
    // The body is a stream of bytes, whatever it is called and however long it is.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, _body, done) => done(null));

    const { stallMs, logger } = options;
    const whileAudited = <T>(request: AgentRequest, work: (onSandbox: () => void) => Promise<T>): Promise<T> =>
      auditedRequest(options, request, { input: { ...request.params, path: shownPath(request) } }, work);
    const open = (request: AgentRequest, reply: FastifyReply): Promise<Opened> =>
      whileAudited(request, () => reach(request, reply));
    const reach = async (request: AgentRequest, reply: FastifyReply): Promise<Opened> => {
      const gone = leaving(reply);
      const principal = await options.admit(request.raw);
      const place = options.transfers.enter(principal, gone);
      gone.addEventListener('abort', () => place[Symbol.dispose]());
      const need = needOfRoute(request.method, request.routeOptions.url);
      if (need === undefined) throw new CaissonError('INTERNAL', 'This route does not say what it needs.');
      const agentId = agentIdSchema.safeParse(request.params.agentId);
      if (!agentId.success) throw new CaissonError('BAD_REQUEST', 'This is not the id of an agent.');
      place.about(agentId.data);
      const path = queryBytes(request.url.split('?', 2)[1] ?? '', 'path');
      if (path === undefined) {
        throw new CaissonError('BAD_REQUEST', 'The query has no valid `path`.', {
          hint: 'Give the bytes of the path, percent-encoded: ?path=src/main.ts',
        });
      }
      const { keyId } = principal;
      const { signal } = place;
      const about = {
        requestId: request.id,
        method: request.method,
        agentId: agentId.data,
        path: pathFromBytes(path),
        keyId,
      };
      const onCut: Opened['onCut'] = (bytes, err, isCut = !(err instanceof CaissonError) || cuts.has(err.code)) => {
        // A caller who has left, one whose key was revoked, and one who was refused, are no news.
        const level = isCut && !signal.aborted ? 'warn' : 'debug';
        logger[level]({ ...about, bytes, err }, isCut ? 'a transfer was cut' : 'a transfer was refused');
      };
      const { workspaces } = options;
      const demand = { principal, need };
      const guest =
        request.method === 'PUT'
          ? await workspaces.openToWrite(demand, agentId.data, signal, lengthOf(request))
          : await workspaces.open(demand, agentId.data, signal);
      return { guest, path, signal, onCut };
    };

    scope.head<{ Params: { agentId: string } }>('/v1/agents/:agentId/file', async (request, reply) => {
      const { guest, path, signal } = await open(request, reply);
      const file = await guest.files.stat(path, { signal });
      if (file.type !== 'file') throw notAFile(file);
      void reply.headers({ ...fileHeaders(file), 'content-length': file.size });
      return await reply.send();
    });

    scope.get<{ Params: { agentId: string } }>('/v1/agents/:agentId/file', async (request, reply) => {
      const { guest, path, signal, onCut } = await open(request, reply);
      const { range, 'if-range': ifRange, ...headers } = request.headers;
      const conditions = {
        range,
        ifRange: typeof ifRange === 'string' ? ifRange : undefined,
        ifMatch: headers['if-match'],
        ifNoneMatch: headers['if-none-match'],
      };
      const { status, file, length, contentRange, content } = await guest.files
        .open(path, conditions, signal)
        .catch((thrown: unknown) => {
          const isRange = thrown instanceof CaissonError && thrown.code === 'RANGE_NOT_SATISFIABLE';
          if (isRange) void reply.header('content-range', `bytes */${Number(thrown.details['size'])}`);
          throw thrown;
        });
      const described = {
        ...fileHeaders(file),
        ...(contentRange === undefined ? {} : { 'content-range': contentRange }),
      };
      if (status === 304) {
        content.destroy();
        return await reply.code(304).headers(described).send();
      }
      const whole = { ...described, 'content-length': length };
      await sendStream(reply, { status, headers: whole, chunks: wholeOf(content, length), signal, stallMs, onCut });
    });

    scope.put<{ Params: { agentId: string } }>('/v1/agents/:agentId/file', async (request, reply) => {
      const written = await whileAudited(request, async (onSandbox) => {
        const { guest, path, signal, onCut } = await reach(request, reply);
        onSandbox();
        const query = new URL(request.url, 'http://caisson').searchParams;
        const upload = guest.files.put(path, {
          ifMatch: request.headers['if-match'],
          ifNoneMatch: request.headers['if-none-match'],
          mode: modeOf(query.get('mode')),
          modifiedAt: timeOf(query.get('modifiedAt')),
          parents: query.get('parents') === '1',
          length: lengthOf(request),
          signal,
        });
        return await take(request, upload, { stallMs, onCut });
      });
      return await reply
        .code(written.created ? 201 : 200)
        .header('etag', written.file.etag)
        .send(written);
    });

    scope.get<{ Params: { agentId: string } }>('/v1/agents/:agentId/archive', async (request, reply) => {
      const { guest, path, signal, onCut } = await open(request, reply);
      const format = new URL(request.url, 'http://caisson').searchParams.get('format') ?? 'tar';
      if (format !== 'tar' && format !== 'zip') throw new CaissonError('BAD_REQUEST', '`format` is tar or zip.');
      const stream = await guest.files.openArchive(path, format, signal);
      const name = `${lastName(pathFromBytes(path)) || 'workspace'}.${format}`;
      const chunks = wholeOf(stream, undefined);
      const headers = safeContentHeaders(name);
      await sendStream(reply, { status: 200, headers, chunks, signal, stallMs, onCut });
    });

    scope.put<{ Params: { agentId: string } }>('/v1/agents/:agentId/archive', async (request, reply) => {
      const unpacked = await whileAudited(request, async (onSandbox) => {
        const { guest, path, signal, onCut } = await reach(request, reply);
        onSandbox();
        return await take(request, guest.files.unpack(path, signal), { stallMs, onCut });
      });
      return await reply.send(unpacked);
    });
  });
}

interface Watch {
  readonly stallMs: number;
  readonly onCut: Opened['onCut'];
}

/** Sends the body of a request on, and resolves with the answer. What the guest refuses is known before all was sent. */
async function take<Answer>(
  request: FastifyRequest,
  { body, answer }: Upload<Answer>,
  { stallMs, onCut }: Watch,
): Promise<Answer> {
  const { raw } = request;
  const giveUp = (): void => {
    body.destroy(new CaissonError('DEADLINE_EXCEEDED', `The upload brought nothing for ${stallMs / 1_000} s.`));
  };
  let idle: NodeJS.Timeout | undefined;
  let judgement: NodeJS.Immediate | undefined;
  const stopWatch = (): void => {
    clearTimeout(idle);
    clearImmediate(judgement);
  };
  const watchIdle = (): void => {
    stopWatch();
    // Where this process itself stood still, bytes may lie unread in the socket: read before judging.
    idle = setTimeout(() => (judgement = setImmediate(giveUp)), stallMs);
  };
  let bytes = 0;
  const onData = (chunk: Buffer): void => {
    bytes += chunk.length;
    watchIdle();
  };
  watchIdle();
  gatherSmallPieces(raw);
  holdBackSmallPieces(body);
  raw.on('data', onData).pause();
  try {
    raw.pipe(body); // not `pipeline`: it destroys a stream that is being reset before the reset is on its way
    return await answer;
  } catch (thrown) {
    raw.unpipe(body);
    body.destroy();
    onCut(bytes, thrown);
    throw thrown;
  } finally {
    stopWatch();
    raw.off('data', onData);
  }
}

function fileHeaders(file: FileInfo): Record<string, string> {
  return {
    ...safeContentHeaders(lastName(file.path)),
    etag: file.etag,
    'last-modified': new Date(file.modifiedAt).toUTCString(),
    'accept-ranges': 'bytes',
  };
}

/** Aborts when the caller leaves before its answer is complete. */
function leaving(reply: FastifyReply): AbortSignal {
  const leave = new AbortController();
  const abort = (): void => leave.abort(new CaissonError('ABORTED', 'The caller has left.'));
  if (reply.raw.closed) abort();
  else reply.raw.once('close', abort);
  return leave.signal;
}

function notAFile({ path, type }: FileInfo): CaissonError {
  const details = { path };
  return type === 'directory'
    ? new CaissonError('IS_A_DIRECTORY', `${JSON.stringify(path)} is a folder.`, { details })
    : new CaissonError('NOT_A_REGULAR_FILE', `${JSON.stringify(path)} is a pipe, a socket or a device.`, { details });
}

/** For the audit, which takes it as it is. */
function shownPath({ url }: FastifyRequest): string | undefined {
  const path = queryBytes(url.split('?', 2)[1] ?? '', 'path');
  return path && pathFromBytes(path);
}

function modeOf(text: string | null): number | undefined {
  if (text === null) return undefined;
  const mode = /^\d{1,3}$/.test(text) ? Number(text) : 0o1000;
  if (mode <= 0o777) return mode;
  throw new CaissonError('BAD_REQUEST', '`mode` is a decimal number up to 511 (0o777).');
}

function timeOf(text: string | null): number | undefined {
  if (text === null) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new CaissonError('BAD_REQUEST', '`modifiedAt` is a whole number of milliseconds since 1970.');
}

function lengthOf({ headers }: FastifyRequest): number | undefined {
  const length = headers['content-length'];
  return length === undefined ? undefined : Number(length);
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf('/', path.length - 2) + 1);
}
