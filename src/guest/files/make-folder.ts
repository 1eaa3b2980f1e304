import { mkdirSync } from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import type { Confinement, FilePlace, Place } from './confinement.ts';
import { errnoOf, fileError } from './errno.ts';
import { parentAndName, type SandboxPath } from './sandbox-path.ts';

/** Makes the folders above `path` that are missing. */
export function makeParents(confinement: Confinement, path: SandboxPath): void {
  const missing: SandboxPath[] = [];
  for (let at = parentOf(path); ; at = parentOf(at)) {
    try {
      confinement.pin(at, { folder: true })[Symbol.dispose]();
      break;
    } catch (thrown) {
      if (confinement.isRoot(at) || !isNotFound(thrown)) throw thrown;
      missing.unshift(at);
    }
  }
  for (const folder of missing) {
    using place = confinement.place(folder);
    makeFolder(place);
  }
}

/** Where a file is written, whose folders are made where they are missing. */
export function placeWithParents(confinement: Confinement, path: SandboxPath): FilePlace {
  try {
    return confinement.placeOfFile(path);
  } catch (thrown) {
    if (!isNotFound(thrown)) throw thrown;
    makeParents(confinement, path);
    return confinement.placeOfFile(path);
  }
}

/** Whether it was made now: one that is there already is fine. */
export function makeFolder(place: Place): boolean {
  try {
    mkdirSync(place.via, { mode: 0o777 });
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === 'EEXIST' && place.lookUp()?.isDirectory() === true) return false;
    throw fileError(thrown, place.path.text);
  }
}

function parentOf({ bytes }: SandboxPath): SandboxPath {
  const { parent } = parentAndName(bytes);
  return { bytes: parent, text: pathFromBytes(parent) };
}

function isNotFound(thrown: unknown): boolean {
  return thrown instanceof CaissonError && thrown.code === 'FILE_NOT_FOUND';
}
