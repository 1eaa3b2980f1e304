import { CaissonError } from '../../kernel/errors.ts';
import type { ErrorCode } from '../../kernel/error-table.ts';

/** What each answer of the kernel means to the caller. What is missing here is a defect of ours. */
const table: Readonly<Record<string, readonly [code: ErrorCode, text: string]>> = {
  ENOENT: ['FILE_NOT_FOUND', 'there is no such file or folder'],
  ESTALE: ['FILE_NOT_FOUND', 'it is no longer there'],
  ENOTDIR: ['NOT_A_DIRECTORY', 'it, or a part of its path, is not a folder'],
  EISDIR: ['IS_A_DIRECTORY', 'it is a folder'],
  EEXIST: ['FILE_EXISTS', 'it exists already'],
  ENOTEMPTY: ['DIRECTORY_NOT_EMPTY', 'the folder is not empty'],
  EACCES: ['FILE_ACCESS_DENIED', 'permission denied'],
  EPERM: ['FILE_ACCESS_DENIED', 'operation not permitted'],
  EROFS: ['FILE_ACCESS_DENIED', 'the file system is read-only'],
  EBUSY: ['FILE_ACCESS_DENIED', 'it is in use as a mount'],
  ETXTBSY: ['FILE_ACCESS_DENIED', 'the program runs'],
  ENOSPC: ['DISK_FULL', 'no space is left'],
  EDQUOT: ['DISK_FULL', 'the disk quota is used up'],
  EFBIG: ['DISK_FULL', 'the file would be too large'],
  ELOOP: ['PATH_FORBIDDEN', 'a symbolic link is not followed here, or leads in a circle'],
  EXDEV: ['BAD_REQUEST', 'the two places are on different file systems'],
  ENAMETOOLONG: ['BAD_REQUEST', 'a name is longer than 255 bytes, or the path than 4,095'],
  EINVAL: ['BAD_REQUEST', 'this cannot be done with it'],
  EMLINK: ['LIMIT_REACHED', 'it has too many links'],
  ENXIO: ['NOT_A_REGULAR_FILE', 'it is a pipe, a socket or a device'],
  ENODEV: ['NOT_A_REGULAR_FILE', 'it is a pipe, a socket or a device'],
  EMFILE: ['LIMIT_REACHED', 'too many files are open'],
  ENFILE: ['LIMIT_REACHED', 'too many files are open'],
};

/** The `code` of what Node's file system threw. */
export function errnoOf(thrown: unknown): string | undefined {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

const shortages: ReadonlySet<string | undefined> = new Set(['EMFILE', 'ENFILE', 'ENOSPC', 'ENOMEM', 'EAGAIN']);

/** Whether a call that reads was refused for want of descriptors, watches or memory, which may come back. */
export function isShortage(thrown: unknown): boolean {
  const cause = thrown instanceof CaissonError ? thrown.cause : thrown;
  return shortages.has(errnoOf(cause));
}

/** Whatever a call of the file system threw, about `path` as the caller wrote it. Ours and what is unknown stay as they are. */
export function fileError(thrown: unknown, path: string): unknown {
  const code = errnoOf(thrown);
  const [meaning, text] = (code === undefined ? undefined : table[code]) ?? [];
  if (meaning === undefined) return thrown;
  return new CaissonError(meaning, `${JSON.stringify(path)}: ${text}.`, { details: { path }, cause: thrown });
}

/** Runs `work`; what the kernel refuses becomes an error about `path`, or about what has it. */
export function onFile<Result>(path: string | { readonly text: string }, work: () => Result): Result {
  try {
    return work();
  } catch (thrown) {
    throw fileError(thrown, typeof path === 'string' ? path : path.text);
  }
}

/** The same for what takes its time. */
export async function onFileLater<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    throw fileError(thrown, path);
  }
}
