import { InvalidArgumentError } from 'commander';

/** Ctrl-T after the first detach key: take control. */
const takeKey = 0x14;

export type KeyCommand = 'detach' | 'take';

export interface KeySequence {
  readonly codes: readonly number[];
  /** As people read them: `Ctrl-P`. */
  readonly names: readonly string[];
}

/** `ctrl-p,ctrl-q`: letters, `ctrl-<letter>`, or one of `@[\]^_` after `ctrl-`; as Docker has it. */
export function parseDetachKeys(text: string): KeySequence {
  const codes = text.split(',').map((name) => {
    const [, controlled] = /^ctrl-([a-z@[\\\]^_])$/i.exec(name) ?? [];
    if (controlled !== undefined) return controlled.toUpperCase().charCodeAt(0) & 0x1f;
    if (/^[!-~]$/.test(name)) return name.charCodeAt(0);
    throw new InvalidArgumentError('It must be keys such as ctrl-p,ctrl-q or ctrl-].');
  });
  if (codes.length > 8) throw new InvalidArgumentError('It must not be more than 8 keys.');
  const names = text
    .split(',')
    .map((name) => name.replace(/^ctrl-(.)$/i, (_, key: string) => `Ctrl-${key.toUpperCase()}`));
  return { codes, names };
}

/**
 * Finds the detach keys in what is typed. A key that may begin them is kept back until the next one tells; what turns out
 * to be something else goes on in full.
 */
export class DetachKeys {
  readonly #detach: readonly number[];
  readonly #take: readonly number[];
  #held: number[] = [];

  constructor({ codes }: KeySequence) {
    this.#detach = codes;
    this.#take = codes.length > 1 ? [...codes.slice(0, 1), takeKey] : [];
  }

  /** What goes to the terminal before the command, if one was typed. What was typed after a command is dropped. */
  read(typed: Uint8Array): { readonly bytes: Uint8Array; readonly command: KeyCommand | undefined } {
    const bytes: number[] = [];
    for (const key of typed) {
      this.#held.push(key);
      while (this.#held.length > 0 && !this.#begins(this.#detach) && !this.#begins(this.#take)) {
        bytes.push(...this.#held.splice(0, 1));
      }
      const command = this.#command();
      if (command === undefined) continue;
      this.#held = [];
      return { bytes: Uint8Array.from(bytes), command };
    }
    return { bytes: Uint8Array.from(bytes), command: undefined };
  }

  #begins(keys: readonly number[]): boolean {
    return this.#held.length <= keys.length && this.#held.every((key, at) => key === keys[at]);
  }

  #command(): KeyCommand | undefined {
    if (this.#held.length === 0) return undefined;
    if (this.#held.length === this.#detach.length && this.#begins(this.#detach)) return 'detach';
    if (this.#held.length === this.#take.length && this.#begins(this.#take)) return 'take';
    return undefined;
  }
}
