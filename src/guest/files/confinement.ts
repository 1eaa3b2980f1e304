import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  realpathSync,
} from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes } from '../../kernel/file-path.ts';
import { onFile } from './errno.ts';
import { isWithin, parentAndName, parsePath, type SandboxPath } from './sandbox-path.ts';

/**
 * Linux: a file descriptor that names a file and does nothing to it. A FIFO is not waited for, a device not woken. Node
 * has no constant for it; it is the same on every processor that Node runs on.
 */
const pathOnly = 0o10000000;
const { O_DIRECTORY, O_NOFOLLOW } = constants;
const slash = Buffer.from('/');

/**
 * The folders that files may be reached in. Nothing is checked by its name: what is named is first pinned by an open file
 * descriptor, then asked where it is, and then used through that descriptor (`/proc/self/fd/N`), so that nothing can be
 * exchanged in between. Links that stay inside are followed; PATH_FORBIDDEN for all that is not below a root.
 */
export class Confinement {
  readonly #given: readonly Buffer[];
  #real: readonly Buffer[] | undefined;

  constructor(roots: readonly string[]) {
    this.#given = roots.map((root) => Buffer.from(root));
  }

  /** Absolute, and below a root as far as its text says. */
  parse(given: Uint8Array): SandboxPath {
    const path = parsePath(given, this.#given[0] ?? Buffer.from('/'));
    if (this.#given.some((root) => isWithin(path.bytes, root))) return path;
    throw forbidden(path);
  }

  /** Pins what `path` names, at the end of all links (or a link itself, with `follow: false`). */
  pin(path: SandboxPath, { follow = true, folder = false }: { follow?: boolean; folder?: boolean } = {}): Pin {
    if (!follow && !this.isRoot(path)) {
      using place = this.place(path);
      return place.pin({ follow: false });
    }
    const flags = pathOnly | (folder ? O_DIRECTORY : 0);
    const pin = new Pin(open(path.bytes, flags, path), path);
    if (this.#holds(pin.location())) return pin;
    pin[Symbol.dispose]();
    throw forbidden(path);
  }

  /** Pins the folder that `path` is in, for what is made, replaced or removed there. PATH_FORBIDDEN for a root itself. */
  place(path: SandboxPath): Place {
    if (this.isRoot(path)) {
      throw new CaissonError('PATH_FORBIDDEN', `${JSON.stringify(path.text)} is a root: it stays where it is.`, {
        hint: 'Name what is in it.',
        details: { path: path.text },
      });
    }
    const { parent, name } = parentAndName(path.bytes);
    const folder = this.pin({ bytes: parent, text: path.text }, { folder: true });
    return new Place(folder, name, path);
  }

  /**
   * Where a write to `path` goes: `path` itself, or the end of its links. FILE_NOT_FOUND for a link that leads to nothing.
   */
  placeOfFile(path: SandboxPath): FilePlace {
    const place = FilePlace.lookedUp(this.place(path));
    if (place.before?.isSymbolicLink() !== true) return place;
    place[Symbol.dispose]();
    using target = this.pin(path);
    const bytes = target.location();
    const real = FilePlace.lookedUp(this.place({ bytes, text: path.text }));
    const { dev, ino } = target.stat();
    if (real.before?.dev === dev && real.before.ino === ino) return real;
    real[Symbol.dispose]();
    throw new CaissonError('FILE_CHANGED', `${JSON.stringify(path.text)} was moved in this moment.`, {
      hint: 'Try again.',
      details: { path: path.text },
    });
  }

  isRoot(path: SandboxPath): boolean {
    return [...this.#given, ...this.#roots()].some((root) => root.equals(path.bytes));
  }

  /** Whether what is at `location` (without links) may be used. */
  #holds(location: Buffer): boolean {
    return this.#roots().some((root) => isWithin(location, root));
  }

  /** Whether a link to the absolute path `target` leads to a root, as far as its text says. */
  mayLeadTo(target: Buffer): boolean {
    return [...this.#given, ...this.#roots()].some((root) => isWithin(target, root));
  }

  /** A root may itself be reached through a link, as /tmp is on some machines. */
  #roots(): readonly Buffer[] {
    return (this.#real ??= this.#given.map((root) => {
      try {
        return Buffer.from(realpathSync.native(root));
      } catch {
        return root; // not there (yet): then nothing is below it
      }
    }));
  }
}

/** Something that is pinned by an open descriptor. Disposing it lets it go. */
export class Pin implements Disposable {
  readonly fd: number;
  readonly path: SandboxPath;
  #above: Buffer | undefined;

  constructor(fd: number, path: SandboxPath) {
    this.fd = fd;
    this.path = path;
  }

  /** Leads to what is pinned, wherever it is now. */
  get via(): string {
    return `/proc/self/fd/${this.fd}`;
  }

  stat(): BigIntStats {
    const stats = fstatSync(this.fd, { bigint: true });
    return stats;
  }

  /** Where it is now. */
  location(): Buffer {
    return readlinkSync(this.via, { encoding: 'buffer' });
  }

  /** The path of a name in this folder. */
  child(name: Buffer): Buffer {
    this.#above ??= Buffer.from(`${this.via}/`);
    return Buffer.concat([this.#above, name]);
  }

  /** What has `name` in this folder, a link as a link; undefined for nothing. FILE_ACCESS_DENIED where the folder may not be entered. */
  lookUp(name: Buffer): BigIntStats | undefined {
    return onFile(this.path, () => lstatSync(this.child(name), { bigint: true, throwIfNoEntry: false }));
  }

  /** Pins what has `name` in this folder, without following a link. */
  pinChild(name: Buffer, { folder = false } = {}): Pin {
    const bytes = Buffer.concat([this.path.bytes, slash, name]);
    const path = {
      bytes,
      get text() {
        return pathFromBytes(bytes); // of thousands few are ever told
      },
    };
    return new Pin(open(this.child(name), pathOnly | O_NOFOLLOW | (folder ? O_DIRECTORY : 0), path), path);
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

/** A name in a pinned folder, where there may be something or not. */
export class Place implements Disposable {
  readonly folder: Pin;
  readonly name: Buffer;
  readonly path: SandboxPath;

  constructor(folder: Pin, name: Buffer, path: SandboxPath) {
    this.folder = folder;
    this.name = name;
    this.path = path;
  }

  /** Leads to it; a link at its end must not be followed by whoever uses it. */
  get via(): Buffer {
    return this.folder.child(this.name);
  }

  /** What is there, a link as a link; undefined for nothing. */
  lookUp(): BigIntStats | undefined {
    return onFile(this.path, () => lstatSync(this.via, { bigint: true, throwIfNoEntry: false }));
  }

  pin({ follow = false }: { follow?: false } = {}): Pin {
    return new Pin(open(this.via, pathOnly | (follow ? 0 : O_NOFOLLOW), this.path), this.path);
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]();
  }
}

/** Where a file is written, and what was there when it was looked up. */
export class FilePlace extends Place {
  readonly before: BigIntStats | undefined;

  private constructor({ folder, name, path }: Place, before: BigIntStats | undefined) {
    super(folder, name, path);
    this.before = before;
  }

  /** Takes `place` over. */
  static lookedUp(place: Place): FilePlace {
    try {
      return new FilePlace(place, place.lookUp());
    } catch (thrown) {
      place[Symbol.dispose]();
      throw thrown;
    }
  }
}

function open(path: Buffer, flags: number, about: SandboxPath): number {
  return onFile(about, () => openSync(path, flags));
}

function forbidden({ text }: SandboxPath): CaissonError {
  return new CaissonError('PATH_FORBIDDEN', `${JSON.stringify(text)} lies outside the folders of the file API.`, {
    details: { path: text },
  });
}
