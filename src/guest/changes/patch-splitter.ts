const newline = 0x0a;
const header = Buffer.from('diff --git ');

export interface Patch {
  readonly text: string;
  /** `latin1`: not UTF-8, so each character stands for a byte. */
  readonly encoding: 'utf8' | 'latin1';
  readonly cutBytes: number;
}

/**
 * Splits what `git diff-tree --raw -p` writes into the raw lines and one patch a file, in bounded memory: of each patch the
 * first `fileBytes`, to the end of a line, are kept and the rest is counted. A line of a patch's body never begins as a
 * header does, and git quotes names, so headers are where they seem to be.
 */
export class PatchSplitter {
  readonly #fileBytes: number;
  readonly #patches: { kept: Buffer[]; keptBytes: number; bytes: number }[] = [];
  readonly #raw: Buffer[] = [];
  /** The beginning of a line that may be a header. */
  #held: Buffer = Buffer.alloc(0);
  #atLineStart = true;

  constructor(fileBytes: number) {
    this.#fileBytes = fileBytes;
  }

  /** Patches that have begun, and the bytes that are kept of them. */
  get size(): { readonly patches: number; readonly bytes: number } {
    return { patches: this.#patches.length, bytes: this.#patches.reduce((sum, { keptBytes }) => sum + keptBytes, 0) };
  }

  push(chunk: Buffer): void {
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = Buffer.alloc(0);
    while (rest.length > 0) {
      if (this.#atLineStart) {
        const seen = Math.min(rest.length, header.length);
        if (rest.compare(header, 0, seen, 0, seen) === 0) {
          if (rest.length < header.length) {
            this.#held = rest;
            return;
          }
          this.#patches.push({ kept: [], keptBytes: 0, bytes: 0 });
        }
      }
      const end = rest.indexOf(newline);
      const line = end < 0 ? rest : rest.subarray(0, end + 1);
      this.#atLineStart = end >= 0;
      this.#keep(line);
      rest = rest.subarray(line.length);
    }
  }

  finish(): { readonly raw: string; readonly patches: readonly Patch[] } {
    this.#keep(this.#held);
    return { raw: Buffer.concat(this.#raw).toString('latin1'), patches: this.#patches.map(patchOf) };
  }

  #keep(piece: Buffer): void {
    const patch = this.#patches.at(-1);
    if (patch === undefined) {
      this.#raw.push(piece);
      return;
    }
    patch.bytes += piece.length;
    const room = this.#fileBytes - patch.keptBytes;
    if (room <= 0) return;
    const kept = Buffer.from(piece.subarray(0, room)); // not the whole chunk
    patch.kept.push(kept);
    patch.keptBytes += kept.length;
  }
}

function patchOf({ kept, bytes }: { readonly kept: readonly Buffer[]; readonly bytes: number }): Patch {
  const all = Buffer.concat(kept);
  const whole = all.length === bytes ? all : all.subarray(0, all.lastIndexOf(newline) + 1);
  const encoding = isUtf8(whole) ? 'utf8' : 'latin1';
  return { text: whole.toString(encoding), encoding, cutBytes: bytes - whole.length };
}

const strict = new TextDecoder('utf-8', { fatal: true });

function isUtf8(bytes: Buffer): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
