const star = 42;
const nothing = Buffer.alloc(0);

/**
 * Takes a secret out of a byte stream: each occurrence leaves as stars, of the same length. Bytes are held back only
 * while they could be the beginning of the secret.
 */
export class SecretMask {
  readonly #secret: Buffer;
  #held: Buffer = nothing;

  /** Null masks nothing. */
  constructor(secret: string | null) {
    this.#secret = secret === null ? nothing : Buffer.from(secret);
  }

  /** What may be passed on now. */
  pass(chunk: Buffer): Buffer {
    if (this.#secret.length === 0) return chunk;
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let at = bytes.indexOf(this.#secret);
    if (at !== -1) bytes = Buffer.from(bytes); // never write into someone else's memory
    for (; at !== -1; at = bytes.indexOf(this.#secret, at)) bytes.fill(star, at, at + this.#secret.length);
    const kept = this.#beginningAtEndOf(bytes);
    if (kept === 0) {
      this.#held = nothing;
      return bytes;
    }
    this.#held = bytes.subarray(bytes.length - kept);
    return bytes.subarray(0, bytes.length - kept);
  }

  /** What was held back, once the stream is over. */
  rest(): Buffer {
    const rest = this.#held;
    this.#held = nothing;
    return rest;
  }

  /** How many of the last bytes are the first ones of the secret. */
  #beginningAtEndOf(bytes: Buffer): number {
    const first = this.#secret[0] ?? 0;
    const most = Math.min(this.#secret.length - 1, bytes.length);
    for (let at = bytes.indexOf(first, bytes.length - most); at !== -1; at = bytes.indexOf(first, at + 1)) {
      if (this.#secret.subarray(0, bytes.length - at).equals(bytes.subarray(at))) return bytes.length - at;
    }
    return 0;
  }
}
