import { tracked, type TrackedEnvelope } from '@trpc/server';
import { z } from 'zod';
import { CaissonError } from '../../../kernel/errors.ts';
import { agentIdSchema } from '../../../kernel/ids.ts';
import {
  fileInfoSchema,
  fileWrittenSchema,
  maxListEntries,
  maxSearchMatches,
  type SearchItem,
  type WatchItem,
  watchCursorSchema,
} from '../../../wire/contract/files.ts';
import { decodeBytes } from '../../workspace/encoded-bytes.ts';
import { pieceOfText, readInline } from '../../workspace/inline-content.ts';
import { bytesOf, etagSchema, fileEncodingSchema, filePathSchema, maxInlineBytes } from '../schemas/file.ts';
import { router, sandboxProcedure } from '../trpc.ts';

const fileIn = { agentId: agentIdSchema, path: filePathSchema };
const transferInput = z.strictObject({
  agentId: agentIdSchema,
  from: filePathSchema,
  to: filePathSchema,
  /** Whether a file that is at `to` is replaced. A folder never is. */
  overwrite: z.boolean().default(false),
});

/** What one subscription may be idle for is bounded by pings; how many there are, by `OpenCalls`. */
export const filesRouter = router({
  /**
   * What a folder holds, in the order of the bytes of the names, a page at a time; with `recursive` all that is below it,
   * each folder before what is in it. Links are listed, never followed.
   */
  list: sandboxProcedure
    .meta({ needs: 'view' })
    .input(
      z.strictObject({
        agentId: agentIdSchema,
        path: filePathSchema.default(''),
        recursive: z.boolean().default(false),
        /** The `nextCursor` of the page before. */
        cursor: filePathSchema.nullish(),
        /** A page also ends before 512 KiB of names. */
        limit: z.int().min(1).max(maxListEntries).default(1_000),
      }),
    )
    .output(z.object({ items: z.array(fileInfoSchema), nextCursor: filePathSchema.nullable() }))
    .query(async ({ ctx, input, signal }) => {
      const guest = await ctx.services.workspaces.open(ctx.demand, input.agentId, signal);
      const { path, recursive, cursor, limit } = input;
      const after = cursor == null ? undefined : bytesOf(cursor);
      const { entries, next } = await guest.files.list(bytesOf(path), { recursive, limit, after, signal });
      return { items: entries, nextCursor: next };
    }),

  /** One file, folder or link; what a link leads to, unless `follow` is false. */
  stat: sandboxProcedure
    .meta({ needs: 'view' })
    .input(z.strictObject({ ...fileIn, follow: z.boolean().default(true) }))
    .output(fileInfoSchema)
    .query(async ({ ctx, input, signal }) => {
      const guest = await ctx.services.workspaces.open(ctx.demand, input.agentId, signal);
      return await guest.files.stat(bytesOf(input.path), { follow: input.follow, signal });
    }),

  /**
   * Up to 1 MiB of a regular file, from `offset` on; `GET /v1/agents/:agentId/file` has all of it. As text (`utf8`) a
   * character that the piece cuts at its end is left out. With `ifNoneMatch` and an unchanged file, `content` is null.
   */
  read: sandboxProcedure
    .meta({ needs: 'view' })
    .input(
      z.strictObject({
        ...fileIn,
        offset: z.int().min(0).default(0),
        length: z.int().min(1).max(maxInlineBytes).default(maxInlineBytes),
        encoding: fileEncodingSchema.default('utf8'),
        ifNoneMatch: etagSchema.optional(),
      }),
    )
    .output(
      z.object({
        content: z.string().nullable(),
        encoding: fileEncodingSchema,
        offset: z.int(),
        /** Bytes of the file that are in `content`. */
        length: z.int(),
        /** Whether `content` reaches to the end of the file. */
        isEnd: z.boolean(),
        file: fileInfoSchema,
      }),
    )
    .query(async ({ ctx, input, signal }) => {
      const { offset, length, encoding, ifNoneMatch } = input;
      const guest = await ctx.services.workspaces.open(ctx.demand, input.agentId, signal);
      const path = bytesOf(input.path);
      const range = `bytes=${offset}-${offset + length - 1}`;
      const opened = await guest.files.open(path, { range, ifNoneMatch }, signal).catch((thrown: unknown) => {
        // The end of a file is a place to read from, and the only one of an empty file.
        const size =
          thrown instanceof CaissonError && thrown.code === 'RANGE_NOT_SATISFIABLE' && thrown.details['size'];
        if (size !== offset) throw thrown;
        return undefined;
      });
      if (opened === undefined) {
        const file = await guest.files.stat(path, { signal });
        return { content: '', encoding, offset, length: 0, isEnd: true, file };
      }
      const { file, status } = opened;
      const bytes = await readInline(opened, length);
      if (status === 304) return { content: null, encoding, offset, length: 0, isEnd: true, file };
      const reachesEnd = offset + bytes.length >= file.size;
      if (encoding === 'base64') {
        const content = bytes.toString('base64');
        return { content, encoding, offset, length: bytes.length, isEnd: reachesEnd, file };
      }
      const piece = pieceOfText(bytes, reachesEnd);
      return { content: piece.text, encoding, offset, length: piece.length, isEnd: reachesEnd, file };
    }),

  /**
   * Writes a file of up to 1 MiB; `PUT /v1/agents/:agentId/file` takes more. It is replaced as a whole, by a rename, and
   * keeps its mode unless one is given; with `append` the content is added to it. With `ifMatch` (an ETag) only what nobody else has changed is
   * written, with `ifNoneMatch: "*"` only what is not there: else FILE_CHANGED or FILE_EXISTS, with the present ETag.
   */
  write: sandboxProcedure
    .meta({ needs: 'use' })
    .input(
      z.strictObject({
        ...fileIn,
        content: z.string().max(2 * maxInlineBytes),
        encoding: fileEncodingSchema.default('utf8'),
        append: z.boolean().default(false),
        ifMatch: etagSchema.optional(),
        ifNoneMatch: etagSchema.optional(),
        /** Permission bits, such as 0o755; not of a file that is appended to. */
        mode: z.int().min(0).max(0o777).optional(),
        /** Whether folders that are missing are made. */
        parents: z.boolean().default(false),
      }),
    )
    .output(fileWrittenSchema)
    .mutation(async ({ ctx, input, signal }) => {
      const { agentId, path, content, encoding, ...options } = input;
      const bytes = decodeContent(content, encoding);
      const guest = await ctx.services.workspaces.openToWrite(ctx.demand, agentId, signal, bytes.length);
      return await guest.files.write(bytesOf(path), bytes, { ...options, signal });
    }),

  /** Makes a folder. With `parents` also those above it, and one that is there already is fine; else FILE_EXISTS. */
  mkdir: sandboxProcedure
    .meta({ needs: 'use' })
    .input(z.strictObject({ ...fileIn, parents: z.boolean().default(false) }))
    .output(fileInfoSchema)
    .mutation(async ({ ctx, input: { agentId, ...request }, signal }) => {
      const guest = await ctx.services.workspaces.openToWrite(ctx.demand, agentId, signal);
      return await guest.files.makeFolder(request, signal);
    }),

  /** Renames a file, link or folder. Between /workspace, the home and /tmp it is copied and then removed. */
  move: sandboxProcedure
    .meta({ needs: 'use' })
    .input(transferInput)
    .output(fileInfoSchema)
    .mutation(async ({ ctx, input: { agentId, ...request }, signal }) => {
      const guest = await ctx.services.workspaces.open(ctx.demand, agentId, signal);
      return await guest.files.move(request, signal);
    }),

  /** Copies a file, link or folder with all that is in it. The copy appears under its name when it is whole. */
  copy: sandboxProcedure
    .meta({ needs: 'use' })
    .input(transferInput)
    .output(fileInfoSchema)
    .mutation(async ({ ctx, input: { agentId, ...request }, signal }) => {
      const guest = await ctx.services.workspaces.openToWrite(ctx.demand, agentId, signal);
      return await guest.files.copy(request, signal);
    }),

  /** Removes a file, a link (never what it leads to), or a folder: with all that is in it only if `recursive`. */
  remove: sandboxProcedure
    .meta({ needs: 'use' })
    .input(z.strictObject({ ...fileIn, recursive: z.boolean().default(false) }))
    .output(z.object({}))
    .mutation(async ({ ctx, input: { agentId, ...request }, signal }) => {
      const guest = await ctx.services.workspaces.open(ctx.demand, agentId, signal);
      await guest.files.remove(request, signal);
      return {};
    }),

  /**
   * Searches below a folder, by name (a glob, or a part of the name; with a slash, of the path) or by content (a regular
   * expression, or plain text with `literal`). Matches come as they are found, the end last. Leaving ends the search in the sandbox. `isCut` says that there
   * may be more: the limit or two minutes are reached, or the search died. SEARCH_FAILED where it stood still for 10 s, or
   * died with nothing found.
   */
  search: sandboxProcedure
    .meta({ needs: 'view' })
    .input(
      z.strictObject({
        agentId: agentIdSchema,
        path: filePathSchema.default(''),
        query: z.string().min(1).max(4_096),
        by: z.enum(['name', 'content']).default('content'),
        literal: z.boolean().default(false),
        ignoreCase: z.boolean().default(false),
        /** Only files that match one of these; `!` in front excludes. */
        globs: z.array(z.string().min(1).max(1_024)).max(64).default([]),
        /** Whether hidden files, and those that .gitignore names, are searched too. */
        includeIgnored: z.boolean().default(false),
        limit: z.int().min(1).max(maxSearchMatches).default(1_000),
        lastEventId: z.string().max(100).nullish(),
      }),
    )
    .subscription(async function* ({ ctx, input, signal }): AsyncGenerator<SearchItem, void> {
      const { workspaces, subscriptions } = ctx.services;
      const { agentId, lastEventId: _, ...request } = input;
      using place = subscriptions.enter(ctx.principal, signal);
      place.about(agentId);
      const guest = await workspaces.open(ctx.demand, agentId, place.signal);
      yield* guest.files.search(request, place.signal);
      place.signal.throwIfAborted();
    }),

  /**
   * What changes in a folder, or a tree, until the caller leaves; several changes of one name within 50 ms are one. The first
   * item is `ready`: all that happens after it is told. Each item has a cursor to go on from; when nothing is lost since,
   * `ready` says `resumed`, and else the tree must be read again. So it must after `overflow`. `incomplete` says that
   * not all is watched: the tree has more than 4,096 folders, or the kernel has no watches left, which are asked for again
   * every 5 s; `complete` and an `overflow` come when it has given them. Who goes on from a cursor starts no sandbox: SANDBOX_NOT_RUNNING.
   */
  watch: sandboxProcedure
    .meta({ needs: 'view' })
    .input(
      z.strictObject({
        agentId: agentIdSchema,
        path: filePathSchema.default(''),
        recursive: z.boolean().default(true),
        /** Names of folders that are not watched. */
        exclude: z.array(z.string().min(1).max(255)).max(64).default(['.git', 'node_modules']),
        cursor: watchCursorSchema.nullish(),
        lastEventId: z.string().max(100).nullish(),
      }),
    )
    .subscription(async function* ({ ctx, input, signal }): AsyncGenerator<TrackedEnvelope<WatchItem>, void> {
      const { workspaces, subscriptions } = ctx.services;
      const { agentId, lastEventId, cursor, ...request } = input;
      using place = subscriptions.enter(ctx.principal, signal);
      place.about(agentId);
      const from = { ...request, cursor: lastEventId ?? cursor ?? null };
      // Somebody may have stopped the sandbox to end what runs in it: a watch that comes back must not start it again.
      const reach = from.cursor === null ? 'open' : 'running';
      const guest = await workspaces[reach](ctx.demand, agentId, place.signal);
      for await (const item of guest.files.watch(from, place.signal)) yield tracked(item.cursor, item);
      place.signal.throwIfAborted();
    }),
});

function decodeContent(content: string, encoding: z.infer<typeof fileEncodingSchema>): Buffer {
  const bytes = decodeBytes({ data: content, encoding });
  if (bytes.length <= maxInlineBytes) return bytes;
  throw new CaissonError(
    'BODY_TOO_LARGE',
    `The content has ${bytes.length} bytes; at most ${maxInlineBytes} go in one call.`,
    {
      hint: 'Use PUT /v1/agents/:agentId/file, or `client.files.upload`.',
    },
  );
}
