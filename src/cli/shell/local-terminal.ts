import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { ScreenModes } from './screen-modes.ts';

/**
 * The terminal that the command line runs in, given over to a program elsewhere: keys come raw, output goes as it is. It is
 * put back when this is disposed, and however else the process ends.
 */
export class LocalTerminal implements Disposable {
  readonly #modes = new ScreenModes();
  readonly #isRaw: boolean;
  #isOver = false;

  constructor() {
    this.#isRaw = process.stdin.isTTY;
    if (this.#isRaw) {
      process.stdin.setRawMode(true);
      // Node's raw mode still turns line feeds into line ends, which breaks what full-screen programs draw.
      spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
    }
    process.once('exit', this.#restore);
  }

  /** Of the screen; undefined where stdout is none. */
  get size(): { readonly cols: number; readonly rows: number } | undefined {
    const { columns: cols, rows, isTTY } = process.stdout;
    return isTTY && cols > 0 && rows > 0 ? { cols: Math.min(cols, 1_000), rows: Math.min(rows, 1_000) } : undefined;
  }

  onResize(callback: () => void): void {
    process.stdout.on('resize', callback);
  }

  /** Waits while the screen is slow. */
  async write(output: Uint8Array): Promise<void> {
    if (process.stdout.isTTY) this.#modes.see(output);
    if (!process.stdout.write(output)) await once(process.stdout, 'drain');
  }

  /** A line of ours between the program's output. */
  note(text: string): void {
    process.stderr.write(this.#isRaw ? `\r\n[caisson] ${text}\r\n` : `[caisson] ${text}\n`);
  }

  /** What was typed is not taken. */
  bell(): void {
    if (process.stdout.isTTY) process.stderr.write('\u0007');
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#restore);
    this.#restore();
    process.stdin.pause();
  }

  readonly #restore = (): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    if (process.stdout.isTTY) process.stdout.write(this.#modes.undo());
    if (this.#isRaw) process.stdin.setRawMode(false);
  };
}
