import { CaissonError } from '../../kernel/errors.ts';
import { maxDepth } from '../../wire/contract/files.ts';
import type { Pin } from './confinement.ts';
import { folderNames } from './folder-names.ts';
import type { Pacer } from './pacer.ts';

/** What is met on the way through a tree, with the folder that it is in. */
export interface Visitor {
  /** Returns whether it is a folder to go into. */
  readonly enter: (folder: Pin, name: Buffer, depth: number) => boolean | Promise<boolean>;
  /** After all that is in a folder. */
  readonly leave?: (folder: Pin, name: Buffer) => void;
}

/**
 * Goes through all that is in a pinned folder, folder by folder through descriptors, so that a link that is put in the way
 * leads nowhere. What is gone meanwhile is passed over. LIMIT_REACHED below 256 folders.
 */
export async function walk(folder: Pin, visitor: Visitor, pacer: Pacer, depth = 1): Promise<void> {
  if (depth > maxDepth) throw tooDeep();
  for (const name of await folderNames(folder, pacer)) {
    if (pacer.isDue) await pacer.rest();
    const entered = visitor.enter(folder, name, depth);
    if (!(typeof entered === 'boolean' ? entered : await entered)) continue;
    try {
      using child = folder.pinChild(name, { folder: true });
      await walk(child, visitor, pacer, depth + 1);
    } catch (thrown) {
      if (!isGone(thrown) || isDenied(thrown)) throw thrown;
      continue;
    }
    visitor.leave?.(folder, name);
  }
}

export function tooDeep(): CaissonError {
  return new CaissonError('LIMIT_REACHED', `The tree is deeper than ${maxDepth} folders.`, {
    hint: 'Use a command in the sandbox.',
    details: { limit: maxDepth },
  });
}

/** Whether something could not be looked at because it was removed or replaced meanwhile, or must not be read. */
export function isGone(thrown: unknown): boolean {
  return thrown instanceof CaissonError && gone.has(thrown.code);
}

function isDenied(thrown: unknown): boolean {
  return thrown instanceof CaissonError && thrown.code === 'FILE_ACCESS_DENIED';
}

const gone: ReadonlySet<string> = new Set([
  'FILE_NOT_FOUND',
  'NOT_A_DIRECTORY',
  'PATH_FORBIDDEN',
  'FILE_ACCESS_DENIED',
]);
