import { lstatSync, rmdirSync, unlinkSync } from 'node:fs';
import type { Confinement, Pin, Place } from './confinement.ts';
import { errnoOf, fileError, onFile } from './errno.ts';
import { Pacer } from './pacer.ts';
import type { SandboxPath } from './sandbox-path.ts';
import { walk } from './walk.ts';

/** Removes a file, a link (never what it leads to) or a folder, with all that is in it only when that is asked for. */
export async function remove(
  confinement: Confinement,
  path: SandboxPath,
  { recursive, signal }: { readonly recursive: boolean; readonly signal: AbortSignal },
): Promise<void> {
  using place = confinement.place(path);
  await removePlace(place, recursive, signal);
}

export async function removePlace(place: Place, recursive: boolean, signal: AbortSignal): Promise<void> {
  const { text } = place.path;
  const stats = onFile(text, () => lstatSync(place.via));
  if (!stats.isDirectory()) {
    onFile(text, () => unlinkSync(place.via));
    return;
  }
  if (recursive) {
    using folder = place.pin();
    await walk(
      folder,
      {
        enter: (parent, name) => removeName(parent, name, `${text}/…`),
        leave: (parent, name) => rmdir(parent.child(name), `${text}/…`),
      },
      new Pacer(signal),
    );
  }
  onFile(text, () => rmdirSync(place.via));
}

/** Whether it is a folder, which is left to be emptied. */
function removeName(parent: Pin, name: Buffer, text: string): boolean {
  const stats = parent.lookUp(name);
  if (stats?.isDirectory() === true) return true;
  if (stats === undefined) return false;
  try {
    unlinkSync(parent.child(name));
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ENOENT') throw fileError(thrown, text);
  }
  return false;
}

function rmdir(via: Buffer, text: string): void {
  try {
    rmdirSync(via);
  } catch (thrown) {
    if (errnoOf(thrown) !== 'ENOENT') throw fileError(thrown, text);
  }
}
