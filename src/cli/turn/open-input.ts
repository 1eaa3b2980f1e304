import type { Sink } from '../output/sink.ts';
import type { TerminalInput } from './terminal-input.ts';

/** The keyboard where stdin and the stream that prompts go to are a terminal, else the lines of stdin. */
export async function openInput(sink: Sink, stream: NodeJS.WriteStream): Promise<TerminalInput> {
  if (process.stdin.isTTY && stream.isTTY)
    return new (await import('./keyboard.ts')).Keyboard({ sink, terminal: stream });
  return new (await import('./piped-input.ts')).PipedInput();
}
