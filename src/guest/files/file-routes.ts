import { CaissonError, toCaissonError } from '../../kernel/errors.ts';
import { queryBytes } from '../../kernel/percent-bytes.ts';
import {
  filePaths,
  folderRequestSchema,
  maxListEntries,
  maxWholeBytes,
  removeRequestSchema,
  searchRequestSchema,
  transferRequestSchema,
  watchRequestSchema,
} from '../../wire/contract/files.ts';
import { errorTrailers } from '../error-trailers.ts';
import { BoundedWork } from '../bounded-work.ts';
import { answerJson, goneWith, type InwardCall, parseInput, readJsonBody, type Route } from '../inward-call.ts';
import { ArchiveOutput } from './archive-output.ts';
import type { Confinement, FilePlace } from './confinement.ts';
import { fileInfo } from './file-info.ts';
import { ItemStream } from './item-stream.ts';
import { listFolder } from './list-folder.ts';
import { makeFolder, makeParents, placeWithParents } from './make-folder.ts';
import { NamesCache } from './names-cache.ts';
import { packTar } from './pack.ts';
import { packZip } from './pack-zip.ts';
import { readFile } from './read-file.ts';
import { remove } from './remove.ts';
import { RequestBody } from './request-body.ts';
import { bytesOfText, type SandboxPath } from './sandbox-path.ts';
import { Searches } from './search.ts';
import { copy, move } from './transfer.ts';
import { unpackTar } from './unpack.ts';
import type { Watches } from './watches.ts';
import { appendWhole, NewContent, type WriteOptions, writeWhole } from './write-file.ts';

/** Packed or unpacked at the same time. */
const maxArchives = 8;
/** One after the other they would all be done as soon; with two, a small folder does not wait for a very large one. */
const maxListings = 2;
/** Each is a call whose caller is still there. */
const maxWaitingListings = 256;
/** Each of copies, and of folders that are removed with all that is in them. */
const maxTreeWorks = 8;
const maxWaitingTreeWorks = 64;

/** The routes of `contract/files.ts`. */
export function fileRoutes(confinement: Confinement, watches: Watches): readonly Route[] {
  const searches = new Searches(confinement);
  const names = new NamesCache();
  const archives = new BoundedWork({ name: 'archives', running: maxArchives });
  const listings = new BoundedWork({ name: 'listings', running: maxListings, waiting: maxWaitingListings });
  const copies = new BoundedWork({ name: 'copies', running: maxTreeWorks, waiting: maxWaitingTreeWorks });
  const removals = new BoundedWork({ name: 'removals', running: maxTreeWorks, waiting: maxWaitingTreeWorks });
  const pathOf = (call: InwardCall): SandboxPath => confinement.parse(queryOf(call, 'path') ?? Buffer.alloc(0));
  const named = (path: string): SandboxPath => confinement.parse(bytesOfText(path));

  return [
    {
      method: 'GET',
      path: filePaths.stat,
      handle(call) {
        const path = pathOf(call);
        using pin = confinement.pin(path, { follow: call.query.get('follow') !== '0' });
        answerJson(
          call.stream,
          fileInfo(path.text, pin.stat(), () => Buffer.from(path.bytes)),
        );
      },
    },
    {
      method: 'GET',
      path: filePaths.list,
      async handle(call) {
        const after = queryOf(call, 'after');
        const options = {
          recursive: call.query.get('recursive') === '1',
          after: after === undefined ? undefined : Buffer.from(after),
          limit: Math.min(numberOf(call, 'limit') ?? maxListEntries, maxListEntries),
          signal: goneWith(call.stream),
        };
        const path = pathOf(call);
        answerJson(
          call.stream,
          await listings.run(() => listFolder(confinement, names, path, options), options.signal),
        );
      },
    },
    {
      method: 'GET',
      path: filePaths.content,
      async handle(call) {
        const { range, 'if-range': ifRange, ...headers } = call.headers;
        const request = { range, ifRange: text(ifRange), ...conditionsOf(headers) };
        await readFile(confinement, pathOf(call), request, call.stream);
      },
    },
    {
      method: 'PUT',
      path: filePaths.content,
      handle: (call) => write(confinement, pathOf(call), call),
    },
    {
      method: 'POST',
      path: filePaths.folder,
      async handle({ stream }) {
        const request = parseInput(folderRequestSchema, await readJsonBody(stream), 'request');
        const path = named(request.path);
        if (request.parents) makeParents(confinement, path);
        using place = confinement.place(path);
        const isNew = makeFolder(place);
        if (!isNew && !request.parents) {
          throw new CaissonError('FILE_EXISTS', `${JSON.stringify(path.text)} exists already.`, {
            details: { path: path.text },
          });
        }
        using folder = place.pin();
        answerJson(
          stream,
          fileInfo(path.text, folder.stat(), () => folder.via),
        );
      },
    },
    ...(
      [
        [filePaths.move, move],
        [filePaths.copy, copy],
      ] as const
    ).map(([path, transfer]): Route => ({
      method: 'POST',
      path,
      async handle({ stream }) {
        const request = parseInput(transferRequestSchema, await readJsonBody(stream), 'request');
        const [from, to] = [named(request.from), named(request.to)];
        const signal = goneWith(stream);
        answerJson(stream, await transfer(confinement, { from, to, overwrite: request.overwrite, signal, copies }));
      },
    })),
    {
      method: 'POST',
      path: filePaths.remove,
      async handle({ stream }) {
        const { path, recursive } = parseInput(removeRequestSchema, await readJsonBody(stream), 'request');
        const signal = goneWith(stream);
        const work = (): Promise<void> => remove(confinement, named(path), { recursive, signal });
        await (recursive ? removals.run(work, signal) : work());
        answerJson(stream, {});
      },
    },
    {
      method: 'POST',
      path: filePaths.search,
      async handle({ stream }) {
        const request = parseInput(searchRequestSchema, await readJsonBody(stream), 'request');
        const gone = goneWith(stream);
        await searches.run(named(request.path), request, { open: () => new ItemStream(stream), gone });
      },
    },
    {
      method: 'POST',
      path: filePaths.watch,
      async handle({ stream }) {
        const request = parseInput(watchRequestSchema, await readJsonBody(stream), 'request');
        await watches.run(named(request.path), request, () => new ItemStream(stream));
      },
    },
    {
      method: 'GET',
      path: filePaths.archive,
      handle(call) {
        const { stream } = call;
        const gone = goneWith(stream);
        return archives.run(async () => {
          using folder = confinement.pin(pathOf(call), { folder: true });
          const pack = call.query.get('format') === 'zip' ? packZip : packTar;
          let failure: CaissonError | undefined;
          stream.once('wantTrailers', () => stream.sendTrailers(errorTrailers(failure)));
          // Not before there is something to send: what fails until then is answered as all else is.
          const begin = (): void =>
            stream.respond({ ':status': 200, 'content-type': 'application/octet-stream' }, { waitForTrailers: true });
          const out = new ArchiveOutput(stream, { begin, gone });
          try {
            await pack(folder, out, gone);
            stream.end();
          } catch (thrown) {
            out.giveUp();
            if (stream.headersSent) {
              failure = toCaissonError(thrown);
              stream.end();
            }
            throw thrown;
          }
        }, gone);
      },
    },
    {
      method: 'PUT',
      path: filePaths.archive,
      handle(call) {
        const { stream } = call;
        const gone = goneWith(stream);
        const body = new RequestBody(call);
        return archives.run(async () => {
          const path = pathOf(call);
          if (!confinement.isRoot(path)) {
            makeParents(confinement, path);
            using place = confinement.place(path);
            if (place.lookUp()?.isSymbolicLink() !== true) makeFolder(place);
          }
          using folder = confinement.pin(path, { folder: true });
          const unpacked = await unpackTar(confinement, folder, body, gone);
          answerJson(stream, unpacked);
        }, gone);
      },
    },
  ];
}

async function write(confinement: Confinement, path: SandboxPath, call: InwardCall): Promise<void> {
  const options: WriteOptions = {
    ...conditionsOf(call.headers),
    mode: numberOf(call, 'mode'),
    modifiedAt: numberOf(call, 'modifiedAt'),
  };
  const body = new RequestBody(call);
  const placeOf = (): FilePlace =>
    call.query.get('parents') === '1' ? placeWithParents(confinement, path) : confinement.placeOfFile(path);
  if (body.length !== undefined && body.length <= maxWholeBytes) {
    const content = await body.whole(maxWholeBytes);
    const put = call.query.get('append') === '1' ? appendWhole : writeWhole;
    using place = placeOf();
    answerJson(call.stream, put(place, content, options));
    return;
  }
  if (call.query.get('append') === '1') {
    throw new CaissonError('BODY_TOO_LARGE', `At most ${maxWholeBytes} bytes are appended at once.`);
  }
  using place = placeOf();
  using content = new NewContent(place, options);
  for await (const chunks of body.batches()) await content.write(chunks);
  await body.finish();
  answerJson(call.stream, content.commit());
}

function conditionsOf(headers: InwardCall['headers']): {
  ifMatch: string | undefined;
  ifNoneMatch: string | undefined;
} {
  return { ifMatch: text(headers['if-match']), ifNoneMatch: text(headers['if-none-match']) };
}

function text(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The bytes of a parameter of the query, which `URLSearchParams` would take for UTF-8. */
function queryOf({ headers }: InwardCall, name: string): Uint8Array | undefined {
  return queryBytes((headers[':path'] ?? '').split('?', 2)[1] ?? '', name);
}

function numberOf({ query }: InwardCall, name: string): number | undefined {
  const value = query.get(name);
  if (value === null) return undefined;
  if (/^\d{1,15}$/.test(value)) return Number(value);
  throw new CaissonError('BAD_REQUEST', `${name} is not a whole number.`);
}
