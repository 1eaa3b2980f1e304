import { CaissonError } from '../../kernel/errors.ts';
import { pathFromBytes, pathToBytes } from '../../kernel/file-path.ts';
import { maxDepth, maxPathBytes } from '../../wire/contract/files.ts';

const slash = 0x2f;
/** What Linux takes for one name. */
const maxNameBytes = 255;

/** A path as a caller gave it, made absolute. Nothing is known yet about what it names. */
export interface SandboxPath {
  /** Absolute, without `.` and empty parts, and without a slash at its end. */
  readonly bytes: Buffer;
  /** The same for people. */
  readonly text: string;
}

/**
 * Reads a path: relative ones begin at `base`. PATH_FORBIDDEN for `..` (what it means depends on links, and nobody who
 * knows the tree needs it), BAD_REQUEST for a NUL byte, a name above 255 bytes, a path above 4,095, or more than 256 parts.
 */
export function parsePath(given: Uint8Array, base: Buffer): SandboxPath {
  const bytes = Buffer.from(given.buffer, given.byteOffset, given.byteLength);
  const shown = pathFromBytes(bytes.subarray(0, maxPathBytes));
  const refuse = (why: string): CaissonError =>
    new CaissonError('BAD_REQUEST', `${JSON.stringify(shown)} is not a path: ${why}.`);
  if (bytes.includes(0)) throw refuse('it holds a NUL byte');
  const absolute = bytes[0] === slash ? bytes : Buffer.concat([base, Buffer.from('/'), bytes]);
  const parts = splitPath(absolute);
  if (parts.length > maxDepth) throw refuse(`it has more than ${maxDepth} parts`);
  for (const part of parts) {
    if (part.length > maxNameBytes) throw refuse('a name in it is longer than 255 bytes');
    if (part.length === 2 && part.equals(dotDot)) {
      throw new CaissonError('PATH_FORBIDDEN', `${JSON.stringify(shown)} holds "..".`, {
        hint: 'Write the path without "..".',
        details: { path: shown },
      });
    }
  }
  const clean = joinParts(parts);
  if (clean.length > maxPathBytes) throw refuse(`it is longer than ${maxPathBytes} bytes`);
  return { bytes: clean, text: pathFromBytes(clean) };
}

/** The bytes of a path that came as text in JSON; BAD_REQUEST for what stands for none. */
export function bytesOfText(path: string): Uint8Array {
  const bytes = pathToBytes(path);
  if (bytes !== undefined) return bytes;
  throw new CaissonError('BAD_REQUEST', 'The path is not valid text: it holds a surrogate that stands for no byte.');
}

/** The parts of a path; empty ones and `.` are left out. */
export function splitPath(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let start = 0; start <= bytes.length;) {
    const found = bytes.indexOf(slash, start);
    const end = found < 0 ? bytes.length : found;
    if (end > start && !(end === start + 1 && bytes[start] === dot)) parts.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return parts;
}

/** Where a path ends: its folder and its last name. */
export function parentAndName(path: Buffer): { readonly parent: Buffer; readonly name: Buffer } {
  const end = path.lastIndexOf(slash);
  return { parent: path.subarray(0, Math.max(end, 1)), name: path.subarray(end + 1) };
}

export function isWithin(path: Buffer, folder: Buffer): boolean {
  if (path.length === folder.length) return path.equals(folder);
  return path.length > folder.length && path[folder.length] === slash && path.subarray(0, folder.length).equals(folder);
}

function joinParts(parts: readonly Buffer[]): Buffer {
  return parts.length === 0 ? Buffer.from('/') : Buffer.concat(parts.flatMap((part) => [separator, part]));
}

const dot = 0x2e;
const dotDot = Buffer.from('..');
const separator = Buffer.from('/');
