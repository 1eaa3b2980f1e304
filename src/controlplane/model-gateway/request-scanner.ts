/** A field of a request that is watched for: its value, and where it stands in the body. */
export interface WatchedField {
  /** Parsed, where it is short enough to be kept (`maxValueBytes`); undefined otherwise. */
  readonly value: unknown;
  /** Bytes from the beginning of the body to the value, and to its end. */
  readonly start: number;
  readonly end: number;
}

const maxKeyBytes = 128;
const maxValueBytes = 1_024;
/** So far the end of a string is looked for byte by byte. */
const nearBytes = 64;

const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const comma = 0x2c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/** Bytes that JSON has outside strings besides braces, brackets, colon, comma and quote: of numbers and literals. */
const isScalarByte = bytesOf('0123456789+-.eEtrufalsn');
const isSpace = bytesOf(' \t\r\n');

type Place = 'before' | 'key or end' | 'key' | 'in key' | 'colon' | 'value' | 'in value' | 'after value' | 'done';

/**
 * Reads the fields of a JSON object as it passes by, and of these only the watched ones. What readers of JSON could
 * understand in two ways is refused, so that the service cannot see another value than the gateway: a watched field that
 * comes twice, or in other letters, or anything outside strings that JSON does not have. Keeps at most a key or a value.
 */
export class RequestScanner {
  readonly #watched: ReadonlySet<string>;
  readonly #fields = new Map<string, WatchedField>();
  #place: Place = 'before';
  /** Objects and arrays that are open inside the value. */
  #depth = 0;
  #isInString = false;
  /** The last byte of the string was a backslash that escapes the next one. */
  #isEscaped = false;
  #kept: Buffer[] = [];
  #keptBytes = 0;
  /** Of the present value; null for one that is not watched. */
  #key: string | null = null;
  #valueStart = 0;
  /** Bytes of the chunks before. */
  #offset = 0;
  #start = 0;
  #problem: string | null = null;

  constructor(watched: readonly string[]) {
    this.#watched = new Set(watched);
  }

  /** The watched fields that were read so far. */
  get fields(): ReadonlyMap<string, WatchedField> {
    return this.#fields;
  }

  /** Where the object begins. */
  get start(): number {
    return this.#start;
  }

  /** What is wrong with the body; null while nothing is. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Whether the object is over. */
  get isWhole(): boolean {
    return this.#place === 'done';
  }

  read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && this.#problem === null) {
      at = this.#isInString ? this.#readString(chunk, at) : this.#readByte(chunk, at);
    }
    this.#offset += chunk.length;
  }

  #readByte(chunk: Buffer, at: number): number {
    const byte = chunk[at] ?? 0;
    switch (this.#place) {
      case 'before':
        if (byte === openBrace) {
          this.#place = 'key or end';
          this.#start = this.#offset + at;
        } else if (!isSpace[byte]) this.#problem = 'it is no JSON object';
        break;
      case 'key or end':
      case 'key':
        if (byte === quote) {
          this.#place = 'in key';
          this.#isInString = true;
        } else if (byte === closeBrace && this.#place === 'key or end') this.#place = 'done';
        else if (!isSpace[byte]) this.#problem = 'it is no JSON';
        break;
      case 'in key':
      case 'colon':
        if (byte === colon) this.#place = 'value';
        else if (!isSpace[byte]) this.#problem = 'it is no JSON';
        break;
      case 'value':
        if (isSpace[byte]) break;
        this.#place = 'in value';
        this.#valueStart = this.#offset + at;
        this.#depth = 0;
        return this.#readValue(chunk, at);
      case 'in value':
        return this.#readValue(chunk, at);
      case 'after value':
        if (byte === comma) this.#place = 'key';
        else if (byte === closeBrace) this.#place = 'done';
        else if (!isSpace[byte]) this.#problem = 'it is no JSON';
        break;
      case 'done':
        if (!isSpace[byte]) this.#problem = 'something follows its JSON object';
    }
    return at + 1;
  }

  /** One step in a value, outside strings. */
  #readValue(chunk: Buffer, at: number): number {
    const byte = chunk[at] ?? 0;
    if (byte === quote) {
      this.#isInString = true;
      this.#keep(chunk, at, at + 1);
      return at + 1;
    }
    if (byte === openBrace || byte === openBracket) this.#depth += 1;
    else if (byte === closeBrace || byte === closeBracket) {
      if (this.#depth === 0) return this.#endValue(at);
      this.#depth -= 1;
    } else if (this.#depth === 0 && (byte === comma || isSpace[byte])) return this.#endValue(at);
    else if (!isScalarByte[byte] && byte !== comma && byte !== colon && !isSpace[byte]) {
      this.#problem = 'it is no JSON';
      return at;
    }
    this.#keep(chunk, at, at + 1);
    return at + 1;
  }

  /** In a string, whose quote is behind us, to its end or to the end of the chunk. */
  #readString(chunk: Buffer, from: number): number {
    const end = this.#endOfString(chunk, from);
    this.#isInString = end === -1;
    const stop = this.#isInString ? chunk.length : end;
    const after = this.#isInString ? stop : stop + 1;
    this.#keep(chunk, from, this.#place === 'in key' ? stop : after);
    if (!this.#isInString && this.#place === 'in key') this.#endKey();
    return after;
  }

  /** Where its quote is; -1 where the chunk has none. */
  #endOfString(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#isEscaped && at < chunk.length) {
      this.#isEscaped = false;
      at += 1;
    }
    for (;;) {
      // Most strings are short, and those of code full of quotes: to call `indexOf` for each takes four times as long.
      for (const near = Math.min(at + nearBytes, chunk.length); at < near; at += 1) {
        const byte = chunk[at];
        if (byte === quote) return at;
        if (byte === backslash) at += 1;
      }
      const found = at < chunk.length ? chunk.indexOf(quote, at) : -1;
      const stop = found === -1 ? chunk.length : found;
      const isEscaped = at > chunk.length || backslashesBefore(chunk, stop, at) % 2 === 1;
      if (found === -1) {
        this.#isEscaped = isEscaped;
        return -1;
      }
      if (!isEscaped) return found;
      at = found + 1;
    }
  }

  #endKey(): void {
    this.#place = 'colon';
    const name = this.#keptBytes > maxKeyBytes ? '' : parseJson(`"${this.#take()}"`);
    this.#take();
    if (typeof name !== 'string') {
      this.#problem = 'it is no JSON';
      return;
    }
    const plain = name.normalize('NFKC').toLowerCase();
    this.#key = this.#watched.has(plain) ? plain : null;
    if (this.#key === null) return;
    if (this.#key !== name)
      this.#problem = `it has a field ${JSON.stringify(name)}, which could be read as ${this.#key}`;
    else if (this.#fields.has(name)) this.#problem = `it has the field ${name} twice`;
  }

  /** `at` is the byte that follows the value. */
  #endValue(at: number): number {
    this.#place = 'after value';
    const isKept = this.#keptBytes <= maxValueBytes;
    const text = this.#take();
    if (this.#key !== null) {
      const value = isKept ? parseJson(text) : undefined;
      if (isKept && value === undefined) this.#problem = `its field ${this.#key} is no JSON`;
      this.#fields.set(this.#key, { value, start: this.#valueStart, end: this.#offset + at });
    }
    return at;
  }

  #keep(chunk: Buffer, from: number, to: number): void {
    if (this.#place !== 'in key' && this.#key === null) return;
    this.#keptBytes += to - from;
    if (this.#keptBytes > maxValueBytes) this.#kept = [];
    else this.#kept.push(chunk.subarray(from, to));
  }

  #take(): string {
    const text = Buffer.concat(this.#kept).toString();
    this.#kept = [];
    this.#keptBytes = 0;
    return text;
  }
}

function backslashesBefore(chunk: Buffer, end: number, least: number): number {
  let count = 0;
  while (end - count > least && chunk[end - count - 1] === backslash) count += 1;
  return count;
}

function bytesOf(text: string): readonly boolean[] {
  const table = Array.from({ length: 256 }, () => false);
  for (const byte of Buffer.from(text)) table[byte] = true;
  return table;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // the callers refuse it
  }
}
