import { byteSize } from '../../kernel/byte-size.ts';
import { stderr } from '../output/sink.ts';

/** How often it is drawn. */
const everyMs = 200;

/** How much went over, on one line of stderr that is drawn again; nothing where stderr is no terminal. */
export class Progress {
  readonly #what: string;
  readonly #total: number | undefined;
  readonly #began = performance.now();
  #bytes = 0;
  #drawn = 0;

  /** `total` in bytes, where it is known. */
  constructor(what: string, total?: number) {
    this.#what = what;
    this.#total = total;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    const now = performance.now();
    if (!stderr.isTerminal || now - this.#drawn < everyMs) return;
    this.#drawn = now;
    void stderr.write(`\r\u001b[K${this.#text()}`);
  }

  /** Clears the line. */
  async end(): Promise<void> {
    if (stderr.isTerminal && this.#drawn > 0) await stderr.write('\r\u001b[K');
  }

  /** Counts what passes. */
  through(): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
    return new TransformStream({
      transform: (chunk, controller) => {
        this.add(chunk.length);
        controller.enqueue(chunk);
      },
    });
  }

  #text(): string {
    const seconds = Math.max(0.001, (performance.now() - this.#began) / 1_000);
    const share =
      this.#total === undefined || this.#total === 0 ? '' : ` ${Math.floor((100 * this.#bytes) / this.#total)} %`;
    return `${this.#what}  ${byteSize(this.#bytes)}${share}  ${byteSize(this.#bytes / seconds)}/s`;
  }
}
