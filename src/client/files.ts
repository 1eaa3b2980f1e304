import type { inferProcedureOutput } from '@trpc/server';
import { CaissonError } from '../kernel/errors.ts';
import type { ApiInputs, ApiOutputs, AppRouter } from './api.ts';
import type { Calls } from './calls.ts';
import type { Endpoint } from './endpoint.ts';
import {
  type Download,
  downloadArchive,
  downloadFile,
  type DownloadArchiveOptions,
  type DownloadOptions,
  uploadArchive,
  uploadFile,
  type UploadArchiveOptions,
  type UploadOptions,
} from './file-transfers.ts';
import { sse } from './sse.ts';
import { watchFiles, type WatchOptions } from './watch-files.ts';

/** One item of a subscription: the procedures' types say iterables. */
type ItemOf<Output> = Output extends AsyncIterable<infer Item> ? Item : never;
export type FileSearchItem = ItemOf<inferProcedureOutput<AppRouter['files']['search']>>;
export type FileSearchMatch = Extract<FileSearchItem, { type: 'matches' }>['matches'][number];
/** A file, folder or link of a sandbox. */
export type FileInfo = ApiOutputs['files']['stat'];

type SearchOptions = Omit<ApiInputs['files']['search'], 'lastEventId'> & { readonly signal?: AbortSignal };

/** The files of agents' sandboxes. Paths are absolute, or relative to /workspace. */
export interface Files extends Pick<
  Calls['files'],
  'list' | 'stat' | 'read' | 'write' | 'mkdir' | 'move' | 'copy' | 'remove'
> {
  /** Every entry, page after page. */
  listAll(options: Omit<ApiInputs['files']['list'], 'cursor' | 'limit'>): AsyncGenerator<FileInfo, void, undefined>;
  /** Matches as they are found; the last item says whether there may be more. Leaving the loop ends the search. */
  search(options: SearchOptions): AsyncIterable<FileSearchItem>;
  /** {@inheritDoc watchFiles} */
  watch(options: WatchOptions): ReturnType<typeof watchFiles>;
  /** {@inheritDoc downloadFile} */
  download(options: DownloadOptions): Promise<Download>;
  /** {@inheritDoc uploadFile} */
  upload(options: UploadOptions): Promise<ApiOutputs['files']['write']>;
  /** {@inheritDoc downloadArchive} */
  downloadArchive(options: DownloadArchiveOptions): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** {@inheritDoc uploadArchive} */
  uploadArchive(options: UploadArchiveOptions): ReturnType<typeof uploadArchive>;
}

export function createFiles(endpoint: Endpoint, { files }: Pick<Calls, 'files'>): Files {
  const { list, stat, read, write, mkdir, move, copy, remove } = files;
  return {
    list,
    stat,
    read,
    write,
    mkdir,
    move,
    copy,
    remove,
    async *listAll(options) {
      let cursor: string | null = null;
      do {
        const page: ApiOutputs['files']['list'] = await list.query({ ...options, cursor, limit: 5_000 });
        yield* page.items;
        if (page.nextCursor !== null && page.nextCursor === cursor)
          throw new CaissonError('INTERNAL', 'The listing does not go on.');
        cursor = page.nextCursor;
      } while (cursor !== null);
    },
    search: ({ signal, ...input }) => sse<FileSearchItem>(endpoint, { path: 'files.search', input, signal }),
    watch: (options) => watchFiles(endpoint, options),
    download: (options) => downloadFile(endpoint, options),
    upload: (options) => uploadFile(endpoint, options),
    downloadArchive: (options) => downloadArchive(endpoint, options),
    uploadArchive: (options) => uploadArchive(endpoint, options),
  };
}
