/** Characters of a command's output that an editor is shown. */
const kept = 16 * 1024;

/**
 * The end of a command's output. ACP replaces the content of a tool call with every update, so each update carries all
 * that is shown; one is due only when enough is new, which bounds the traffic to a small multiple of the output.
 */
export class OutputTail {
  #text = '';
  #dropped = 0;
  #unsent = 0;

  /** Whether an update is due. */
  add(output: string): boolean {
    this.#text += output;
    this.#unsent += output.length;
    if (this.#text.length > 2 * kept) this.#cut();
    return this.#unsent > 0 && this.#unsent * 8 >= Math.min(this.#text.length, kept);
  }

  get isEmpty(): boolean {
    return this.#text === '';
  }

  /** What is to be shown now. */
  take(): string {
    this.#cut();
    this.#unsent = 0;
    return this.#dropped === 0 ? this.#text : `[${this.#dropped} characters before this are not shown]\n${this.#text}`;
  }

  #cut(): void {
    const over = this.#text.length - kept;
    if (over <= 0) return;
    this.#dropped += over;
    this.#text = this.#text.slice(over);
  }
}
