import { once } from 'node:events';
import { jsonText } from './json-text.ts';
import { printable } from './printable.ts';
import { styleFor, type Style } from './style.ts';

/** Where text goes. `write` waits while the reader is slow, so that nothing piles up. */
export interface Sink {
  readonly style: Style;
  readonly isTerminal: boolean;
  /** Columns of the terminal; undefined when it is none. */
  readonly columns: number | undefined;
  write(text: string): Promise<void>;
  /** Text of others: as it is in a file or pipe, made safe on a terminal. */
  writeForeign(text: string): Promise<void>;
}

function sinkOf(stream: NodeJS.WriteStream): Sink {
  const write = async (text: string): Promise<void> => {
    if (!stream.write(text)) await once(stream, 'drain');
  };
  return {
    style: styleFor(stream),
    isTerminal: stream.isTTY,
    get columns() {
      return stream.isTTY ? stream.columns || undefined : undefined; // 0: a terminal that does not know
    },
    write,
    writeForeign: (text) => write(stream.isTTY ? printable(text) : text),
  };
}

/** Answers and data. */
export const stdout: Sink = sinkOf(process.stdout);
/** Progress, notes and errors. */
export const stderr: Sink = sinkOf(process.stderr);

/** One object a line. */
export async function writeJsonLine(value: unknown): Promise<void> {
  await stdout.write(`${jsonText(value)}\n`);
}

/** One document, indented for reading. */
export async function writeJson(value: unknown): Promise<void> {
  await stdout.write(`${jsonText(value, 2)}\n`);
}

/** Bytes as they are, on stdout: for files and pipes. */
export async function writeBytes(bytes: Uint8Array): Promise<void> {
  if (!process.stdout.write(bytes)) await once(process.stdout, 'drain');
}
