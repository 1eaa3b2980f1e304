import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes, pathToBytes } from '../../kernel/file-path.ts';

/**
 * A path relative to the workspace whose characters each stand for one byte (Latin-1): names are bytes, and as such a text
 * can be split, sorted, and used as a key without losing any. `toApiPath` and `fromApiPath` are its border.
 */
export type BytePath = string & { readonly kind?: 'byte path' };

export function toApiPath(path: BytePath): string {
  return pathFromBytes(Buffer.from(path, 'latin1'));
}

/**
 * A path as callers give it: relative to the workspace, or absolute in it. Empty for the workspace itself. Throws
 * PATH_FORBIDDEN for what is not in it, BAD_REQUEST for what is no path.
 */
export function fromApiPath(path: string, workspace: string): BytePath {
  const bytes = pathToBytes(path);
  if (bytes === undefined || bytes.includes(0)) throw new CaissonError('BAD_REQUEST', 'This is no path.');
  let text = Buffer.from(bytes).toString('latin1');
  const root = Buffer.from(workspace).toString('latin1');
  if (text === root || text.startsWith(`${root}/`)) text = text.slice(root.length);
  else if (text.startsWith('/')) throw outside(path);
  const segments = text.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (segments.includes('..')) throw outside(path);
  return segments.join('/');
}

/** For calls of the file system. */
export function onDisk(path: BytePath, workspace: string): Buffer {
  return Buffer.concat([Buffer.from(`${workspace}/`), Buffer.from(path, 'latin1')]);
}

/** For standard input of git, with `-z`. */
export function nulSeparated(paths: Iterable<BytePath>): Buffer {
  return Buffer.from([...paths].map((path) => `${path}\0`).join(''), 'latin1');
}

/** What git wrote with `-z`. */
export function splitNul(output: Buffer): string[] {
  const fields = output.toString('latin1').split('\0');
  fields.pop(); // each one is followed by its end
  return fields;
}

export function parentOf(path: BytePath): BytePath {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** Whether `path` is `folder` or in it. */
export function isWithin(path: BytePath, folder: BytePath): boolean {
  return folder === '' || path === folder || path.startsWith(`${folder}/`);
}

function outside(path: string): CaissonError {
  return new CaissonError('PATH_FORBIDDEN', `${JSON.stringify(path)} is not in the workspace.`, {
    hint: 'Name files and folders under /workspace.',
  });
}
