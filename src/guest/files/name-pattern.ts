import { CaissonError } from '../../kernel/errors.ts';

/** Tokens of a glob, with all its alternatives written out. */
const maxTokens = 8_192;

/** One character, any run of them within a name, or any folders: what a slash follows, and may be left out with it. */
type Token = ((character: string) => boolean) | 'run' | 'folders';

/**
 * Whether a path, from the searched folder on, has a name as asked for: a glob, as ripgrep has them, or a part of the name where
 * there is none of `*?[{` in it. With a slash it is about the path. Takes time by the length of the path times that of the
 * query: a regular expression would try all ways to match, and hold the guest up. BAD_REQUEST for what is no glob.
 */
export function namePattern(query: string, ignoreCase: boolean): (path: string) => boolean {
  const fold = (text: string): string => (ignoreCase ? text.toLowerCase() : text);
  const wanted = fold(query);
  const subject = (path: string): string => fold(query.includes('/') ? path : path.slice(path.lastIndexOf('/') + 1));
  if (!/[*?[{]/.test(query)) return (path) => subject(path).includes(wanted);
  const alternatives = new GlobReader(wanted.replace(/^\//, '')).read().map(matcher);
  return (path) => {
    const characters = Array.from(subject(path));
    return alternatives.some((isMatch) => isMatch(characters));
  };
}

/** Whether characters match: goes through them with all places in the glob that those so far lead to, at once. */
function matcher(tokens: readonly Token[]): (characters: readonly string[]) => boolean {
  /** At which step each place was last entered. */
  const entered = new Float64Array(tokens.length + 1);
  let step = 0;
  /** Adds a place, and those behind what may be empty. */
  const enter = (places: number[], at: number): void => {
    if (entered[at] === step) return;
    entered[at] = step;
    places.push(at);
    const token = tokens[at];
    if (token === 'run' || token === 'folders') enter(places, at + 1);
    if (token === 'folders' && at + 2 < tokens.length) enter(places, at + 2);
  };
  return (characters) => {
    step += 1;
    let places: number[] = [];
    enter(places, 0);
    for (const character of characters) {
      step += 1;
      const next: number[] = [];
      for (const at of places) {
        const token = tokens[at];
        if (token === undefined) continue;
        if (typeof token === 'function') {
          if (token(character)) enter(next, at + 1);
        } else if (token === 'folders' || character !== '/') {
          if (entered[at] !== step) next.push(at);
          entered[at] = step;
          enter(next, at + 1);
        }
      }
      if (next.length === 0) return false;
      places = next;
    }
    return entered[tokens.length] === step;
  };
}

class GlobReader {
  readonly #glob: readonly string[];
  #at = 0;
  /** Of braces. */
  #depth = 0;

  constructor(glob: string) {
    this.#glob = Array.from(glob);
  }

  /** Its alternatives: one, where it has no braces. */
  read(): readonly (readonly Token[])[] {
    const alternatives = this.#sequences();
    if (this.#at < this.#glob.length) throw notGlob('a } has no {');
    return alternatives;
  }

  /** Up to the end, or within braces to what ends an alternative. */
  #sequences(): readonly (readonly Token[])[] {
    let sequences: readonly (readonly Token[])[] = [[]];
    for (;;) {
      const character = this.#glob[this.#at];
      if (character === undefined || character === '}' || (character === ',' && this.#depth > 0)) return sequences;
      const next = character === '{' ? this.#braces() : [this.#one(character)];
      sequences = sequences.flatMap((sequence) => next.map((more) => [...sequence, ...more]));
      if (sequences.reduce((sum, { length }) => sum + length, 0) > maxTokens) throw notGlob('it is too long');
    }
  }

  #braces(): readonly (readonly Token[])[] {
    const alternatives: (readonly Token[])[] = [];
    this.#depth += 1;
    do {
      this.#at += 1; // behind the brace or comma
      alternatives.push(...this.#sequences());
    } while (this.#glob[this.#at] === ',');
    if (this.#glob[this.#at] !== '}') throw notGlob('a { has no }');
    this.#at += 1;
    this.#depth -= 1;
    return alternatives;
  }

  #one(character: string): readonly Token[] {
    this.#at += 1;
    switch (character) {
      case '*':
        return [this.#stars()];
      case '?':
        return [(one) => one !== '/'];
      case '[':
        return [this.#characters()];
      case '\\': {
        const escaped = this.#glob[this.#at++];
        if (escaped === undefined) throw notGlob('it ends with a \\');
        return [(one) => one === escaped];
      }
      default:
        return [(one) => one === character];
    }
  }

  /** Two stars that are a part of the path of their own are any folders. */
  #stars(): Token {
    const before = this.#glob[this.#at - 2];
    const from = this.#at - 1;
    while (this.#glob[this.#at] === '*') this.#at += 1;
    const after = this.#glob[this.#at];
    const isEdge = (character: string | undefined): boolean =>
      character === undefined || character === '/' || (this.#depth > 0 && '{,}'.includes(character));
    return isEdge(before) && isEdge(after) && this.#at - from === 2 ? 'folders' : 'run';
  }

  #characters(): Token {
    const isNegated = this.#glob[this.#at] === '!' || this.#glob[this.#at] === '^';
    if (isNegated) this.#at += 1;
    const ranges: (readonly [from: string, to: string])[] = [];
    for (let isFirst = true; isFirst || this.#glob[this.#at] !== ']'; isFirst = false) {
      const from = this.#glob[this.#at];
      if (from === undefined) throw notGlob('a [ has no ]');
      const isRange = this.#glob[this.#at + 1] === '-' && this.#glob[this.#at + 2] !== ']';
      const to = isRange ? this.#glob[this.#at + 2] : from;
      if (to === undefined) throw notGlob('a [ has no ]');
      if (to < from) throw notGlob(`${from}-${to} is no range`);
      ranges.push([from, to]);
      this.#at += isRange ? 3 : 1;
    }
    this.#at += 1;
    return (one) => one !== '/' && ranges.some(([from, to]) => from <= one && one <= to) !== isNegated;
  }
}

function notGlob(why: string): CaissonError {
  return new CaissonError('BAD_REQUEST', `The name cannot be searched for: ${why}.`, {
    hint: 'Put a \\ in front of a character that stands for itself.',
  });
}
