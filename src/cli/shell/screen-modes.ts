/** Private modes that a program may leave on, and which a shell expects off: alternate screens, mouse, focus, paste marks. */
const restored = new Set([1, 9, 47, 66, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 1049, 2004, 2026]);
const cursor = 25;
/** The usual keypad, and text without colours. */
const plain = '\u001B>\u001B[0m';

// oxlint-disable-next-line no-control-regex -- the sequence begins with one
const setting = /\u001B\[\?([\d;]{1,48})([hl])/g;

/** The longest piece of a sequence that is kept for the next chunk. */
const longestSequence = 64;

/** Follows the modes that a program sets on the screen, so that they can be taken back when it is left in the middle. */
export class ScreenModes {
  readonly #on = new Set<number>();
  #isCursorHidden = false;
  #rest = '';

  see(output: Uint8Array): void {
    const text = this.#rest + Buffer.from(output).toString('latin1');
    for (const [, parameters = '', final] of text.matchAll(setting)) {
      for (const mode of parameters.split(';').map(Number)) this.#set(mode, final === 'h');
    }
    const begun = text.lastIndexOf('\u001B');
    const tail = begun < 0 ? '' : text.slice(begun);
    this.#rest = tail.length < longestSequence && !/[hl]/.test(tail) ? tail : '';
  }

  /** What puts a screen right that was left now. */
  undo(): string {
    const off = [...this.#on].map((mode) => `\u001B[?${mode}l`).join('');
    const shown = this.#isCursorHidden ? `\u001B[?${cursor}h` : '';
    this.#on.clear();
    this.#isCursorHidden = false;
    return `${off}${shown}${plain}`;
  }

  #set(mode: number, isOn: boolean): void {
    if (mode === cursor) this.#isCursorHidden = !isOn;
    else if (restored.has(mode) && isOn) this.#on.add(mode);
    else this.#on.delete(mode);
  }
}
