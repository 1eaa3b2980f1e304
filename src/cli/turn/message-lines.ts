/** Lines become a message: a line that ends with a backslash, or in the middle of a paste, goes on with the next. */
export class MessageLines {
  #lines: string[] = [];

  /** What the message has so far. */
  get soFar(): readonly string[] {
    return this.#lines;
  }

  /** The message when the line is its last. */
  add(line: string, { inPaste = false } = {}): string | undefined {
    const goesOn = inPaste || line.endsWith('\\');
    this.#lines.push(goesOn && !inPaste ? line.slice(0, -1) : line);
    return goesOn ? undefined : this.take();
  }

  /** The message as far as it goes; then begins anew. */
  take(): string {
    const message = this.#lines.join('\n');
    this.#lines = [];
    return message;
  }
}
