import * as z from 'zod';

/**
 * Files of the sandbox over the wire. A path is text as `pathFromBytes` has it, in JSON; in a query it is the bytes,
 * percent-encoded. Relative ones begin at the first root. All are confined to the roots (PATH_FORBIDDEN).
 *
 * | method, path                                        | body              | answer                             |
 * |-----------------------------------------------------|-------------------|------------------------------------|
 * | GET  /v1/files/stat?path&follow                     |                   | FileInfo                           |
 * | GET  /v1/files/list?path&recursive&after&limit      |                   | FileList                           |
 * | GET  /v1/files/content?path                         |                   | raw bytes; `fileHeader`            |
 * | PUT  /v1/files/content?path&append&mode&modifiedAt&parents | raw bytes         | FileWritten                        |
 * | POST /v1/files/folder                               | FolderRequest     | FileInfo                           |
 * | POST /v1/files/move                                 | TransferRequest   | FileInfo                           |
 * | POST /v1/files/copy                                 | TransferRequest   | FileInfo                           |
 * | POST /v1/files/remove                               | RemoveRequest     | {}                                 |
 * | POST /v1/files/search                               | SearchRequest     | SearchItem lines, then it ends     |
 * | POST /v1/files/watch                                | WatchRequest      | WatchItem lines, endless           |
 * | GET  /v1/files/archive?path&format                  |                   | raw bytes of a tar or zip          |
 * | PUT  /v1/files/archive?path                         | raw bytes, a tar  | FilesUnpacked                      |
 *
 * Content takes `range`, `if-range`, `if-match` and `if-none-match` as HTTP has them, and answers 200, 206 or 304. What is
 * PUT is complete when it has the announced `content-length`, or the trailer `completeTrailer`: anything else changes
 * nothing. A GET that cannot be finished is reset; an archive ends with `errorTrailer`.
 */
export const filePaths = {
  stat: '/v1/files/stat',
  list: '/v1/files/list',
  content: '/v1/files/content',
  folder: '/v1/files/folder',
  move: '/v1/files/move',
  copy: '/v1/files/copy',
  remove: '/v1/files/remove',
  search: '/v1/files/search',
  watch: '/v1/files/watch',
  archive: '/v1/files/archive',
} as const;

/** Header of an answer with content: the FileInfo as base64url JSON. */
export const fileHeader = 'caisson-file';
/** Trailer of a request body that was sent to its end. */
export const completeTrailer = 'caisson-complete';

/** Longest path, in bytes: Linux takes no longer one. */
export const maxPathBytes = 4_095;
/** Characters of a path as text: an escaped byte is one, but JSON writes six. */
const pathText = z.string().max(maxPathBytes + 1);

/** As far from 1970 as a `Date` goes. Files may have times beyond it: they are told as this. */
export const maxTimeMs = 8.64e15;
const milliseconds = z.number().min(-maxTimeMs).max(maxTimeMs);

export const fileInfoSchema = z.object({
  /** Absolute. */
  path: pathText,
  type: z.enum(['file', 'directory', 'link', 'other']),
  /** In bytes. */
  size: z.number().min(0),
  /** Permission bits, such as 0o644. */
  mode: z.int().min(0).max(0o7777),
  /** Milliseconds since the epoch. */
  modifiedAt: milliseconds,
  /** When content, mode or name last changed; cannot be set. */
  changedAt: milliseconds,
  createdAt: milliseconds,
  /** Where a link leads, as it says; null for all else. */
  target: pathText.nullable(),
  /** Changes with the content; quoted, as HTTP has it. */
  etag: z.string().regex(/^"[0-9a-z-]{1,100}"$/),
});
export type FileInfo = z.infer<typeof fileInfoSchema>;

/** Most entries of one page of a listing; it also ends before 512 KiB of names. */
export const maxListEntries = 5_000;
export const maxListNameBytes = 512 * 1024;
/** Above these a folder is not listed: LIMIT_REACHED. */
export const maxFolderEntries = 500_000;
/** Folders below folders that are walked into. */
export const maxDepth = 256;

export const fileListSchema = z.object({
  entries: z.array(fileInfoSchema).max(maxListEntries),
  /** Where the next page begins; null at the end. */
  next: pathText.nullable(),
});
export type FileList = z.infer<typeof fileListSchema>;

export const fileWrittenSchema = z.object({ file: fileInfoSchema, created: z.boolean() });
export type FileWritten = z.infer<typeof fileWrittenSchema>;

/** Content up to this is written at once, from memory; more of it goes to a temporary file first. */
export const maxWholeBytes = 1024 * 1024;

export const folderRequestSchema = z.object({ path: pathText, parents: z.boolean() });
export type FolderRequest = z.infer<typeof folderRequestSchema>;
export const transferRequestSchema = z.object({ from: pathText, to: pathText, overwrite: z.boolean() });
export type TransferRequest = z.infer<typeof transferRequestSchema>;
export const removeRequestSchema = z.object({ path: pathText, recursive: z.boolean() });
export type RemoveRequest = z.infer<typeof removeRequestSchema>;

export const maxSearchMatches = 10_000;
export const searchRequestSchema = z.object({
  path: pathText,
  /**
   * By name: a glob, or a part of the name where it has no `*?[{`; with a slash, of the path below the folder. By content: a
   * regular expression, or text.
   */
  query: z.string().min(1).max(4_096),
  by: z.enum(['name', 'content']),
  /** Whether a query by content is plain text. */
  literal: z.boolean(),
  ignoreCase: z.boolean(),
  /** Only files that match one of these globs; `!` in front excludes. */
  globs: z.array(z.string().min(1).max(1_024)).max(64),
  /** Whether hidden files and those that .gitignore names are searched too. */
  includeIgnored: z.boolean(),
  limit: z.int().min(1).max(maxSearchMatches),
});
export type SearchRequest = z.infer<typeof searchRequestSchema>;

/** Characters of a line that are shown. */
export const maxMatchText = 2_048;
const searchMatchSchema = z.object({
  path: pathText,
  /** From 1; null for a match by name. */
  line: z.int().min(1).nullable(),
  /** Of the first match in the line, in bytes, from 1. */
  column: z.int().min(1).nullable(),
  /** The line, cut after 2,048 characters; null for a match by name. */
  text: z.string().max(maxMatchText).nullable(),
});
export type SearchMatch = z.infer<typeof searchMatchSchema>;
export const searchItemSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('matches'), matches: z.array(searchMatchSchema).max(256) }),
  /** `isCut`: whether there may be more than were asked for. */
  z.object({ type: z.literal('end'), isCut: z.boolean() }),
]);
export type SearchItem = z.infer<typeof searchItemSchema>;
/** Bound of one line of a search or watch on the wire. */
export const maxItemLineBytes = 4 * 1024 * 1024;

/** The name of what is remembered, and a number in it. */
export const watchCursorSchema = z.string().regex(/^[0-9a-f]{1,64}\.\d{1,15}$/, 'must be the `cursor` of an item');

export const watchRequestSchema = z.object({
  path: pathText,
  recursive: z.boolean(),
  /** Names of folders that are not watched. */
  exclude: z.array(z.string().min(1).max(255)).max(64),
  cursor: watchCursorSchema.nullable(),
});
export type WatchRequest = z.infer<typeof watchRequestSchema>;

const watchChangeSchema = z.object({
  path: pathText,
  /** `changed`: it is there now, new or other than before. `removed`: it is no more. */
  kind: z.enum(['changed', 'removed']),
  type: fileInfoSchema.shape.type.nullable(),
});
export type WatchChange = z.infer<typeof watchChangeSchema>;
export const watchItemSchema = z.discriminatedUnion('type', [
  /** Everything is watched from here on. `resumed`: nothing was missed since the cursor that was given. */
  z.object({ type: z.literal('ready'), cursor: watchCursorSchema, resumed: z.boolean() }),
  z.object({ type: z.literal('changes'), cursor: watchCursorSchema, changes: z.array(watchChangeSchema).max(256) }),
  /** Changes were lost: read the tree again. */
  z.object({ type: z.literal('overflow'), cursor: watchCursorSchema }),
  /**
   * Not all folders are watched, since they are too many, or the kernel has no watches left for now: changes below the others
   * are not seen. Where it was the kernel, it is tried again every 5 s.
   */
  z.object({ type: z.literal('incomplete'), cursor: watchCursorSchema, watchedFolders: z.int() }),
  /** After `incomplete`: all are watched now. An `overflow` follows. */
  z.object({ type: z.literal('complete'), cursor: watchCursorSchema }),
]);
export type WatchItem = z.infer<typeof watchItemSchema>;

export const filesUnpackedSchema = z.object({
  files: z.int().min(0),
  folders: z.int().min(0),
  links: z.int().min(0),
  bytes: z.number().min(0),
});
export type FilesUnpacked = z.infer<typeof filesUnpackedSchema>;
