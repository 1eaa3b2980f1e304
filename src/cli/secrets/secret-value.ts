import { text as readAll } from 'node:stream/consumers';
import { Writable } from 'node:stream';
import { exitCodes } from '../exit-codes.ts';
import { Exit } from '../failure.ts';
import { stderr } from '../output/sink.ts';

/** The secret: typed on the terminal, which does not show it, or all of stdin without the line break at its end. */
export async function secretValue(question: string): Promise<string> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return (await readAll(process.stdin)).replace(/\r?\n$/, '');
  const typed = await readHidden(question);
  await stderr.write('\n');
  if (typed === undefined) throw new Exit(exitCodes.interrupted);
  return typed;
}

/** Undefined: Ctrl-C or Ctrl-D. */
async function readHidden(question: string): Promise<string | undefined> {
  const { createInterface } = await import('node:readline');
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  using terminal = createInterface({ input: process.stdin, output: nowhere, terminal: true, historySize: 0 });
  const typed = new Promise<string | undefined>((resolve) => {
    terminal.once('close', () => resolve(undefined)); // both keys close it
    terminal.once('line', resolve);
  });
  await stderr.write(question); // from here on the terminal shows nothing that is typed
  return await typed;
}
