import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Sink } from '../../../src/cli/output/sink.ts';
import { plain } from '../../../src/cli/output/style.ts';
import { Keyboard } from '../../../src/cli/turn/keyboard.ts';
import { until } from '../../until.ts';

class Screen extends PassThrough {
  readonly columns = 80;
}

let keys: PassThrough;
let keyboard: Keyboard;
let shown: string;

beforeEach(() => {
  keys = new PassThrough();
  shown = '';
  const terminal = new Screen();
  terminal.on('data', (chunk: Buffer) => (shown += chunk.toString()));
  const write = async (text: string): Promise<void> => void terminal.write(text);
  const sink: Sink = { style: plain, isTerminal: true, columns: 80, write, writeForeign: write };
  keyboard = new Keyboard({ sink, terminal, keys });
});
afterEach(() => keyboard[Symbol.dispose]());

/** Types, and waits until the editor has taken it. */
async function type(text: string): Promise<void> {
  keys.write(text);
  await new Promise(setImmediate);
}

function paste(text: string): string {
  return `\u001B[200~${text.replaceAll('\n', '\r')}\u001B[201~`;
}

test('what is pasted is one message, and stays editable until Enter', async () => {
  const message = keyboard.readMessage();
  await type(`look: ${paste('one\ntwo \\\nthree')}`);
  await type('!\r');
  expect(await message).toBe('look: one\ntwo \\\nthree!');
});

test('lines that come at once without being marked as a paste are messages one after the other', async () => {
  const first = keyboard.readMessage();
  await type('one\rtwo\rthr');
  expect(await first).toBe('one');
  expect(await keyboard.readMessage()).toBe('two');
  const third = keyboard.readMessage();
  await type('ee\r');
  expect(await third).toBe('three');
});

test('what is typed during a turn is not echoed, and is the next message', async () => {
  const before = shown;
  await type('next \\\rlines\rand mo');
  expect(shown).toBe(before);
  expect(await keyboard.readMessage()).toBe('next \nlines');
  expect(shown).toContain('> next \n. lines\n');
  const message = keyboard.readMessage();
  await until('the beginning that was typed ahead', () => shown.includes('> and mo'));
  await type('re\r');
  expect(await message).toBe('and more');
});

test('what was typed before a question does not answer it, and is kept', async () => {
  await type('1\ry');
  const answer = keyboard.readAnswer('answer > ', new AbortController().signal);
  await type('2\r');
  expect(await answer).toBe('2');
  expect(await keyboard.readMessage()).toBe('1');
  const message = keyboard.readMessage();
  await type('es\r');
  expect(await message).toBe('yes');
});

test('what is pasted does not answer a question', async () => {
  const answer = keyboard.readAnswer('answer > ', new AbortController().signal);
  await type(paste('1\n'));
  expect(await answer).toBe('');
});

test('a question that is over gives what was typed back to the next message', async () => {
  await type('draft');
  const over = new AbortController();
  const answer = keyboard.readAnswer('answer > ', over.signal);
  await type('1');
  over.abort();
  expect(await answer).toBeUndefined();
  const message = keyboard.readMessage();
  await type('\r');
  expect(await message).toBe('draft');
});

test('Ctrl-D leaves at the prompt and in a turn, also with something typed; at a question it only leaves the question', async () => {
  const leave = vi.fn();
  using _leave = keyboard.onLeave(leave);
  const answer = keyboard.readAnswer('answer > ', new AbortController().signal);
  await type('\u0004');
  expect(await answer).toBeUndefined();
  expect(leave).not.toHaveBeenCalled();
  await type('\u0004');
  expect(leave).toHaveBeenCalledTimes(1);
  await type('typed\u0004');
  expect(leave).toHaveBeenCalledTimes(2);
  const message = keyboard.readMessage();
  await type('\r');
  expect(await message).toBe('typed');
  const last = keyboard.readMessage();
  await type('\u0004');
  expect(await last).toBeUndefined();
});

test('Ctrl-C goes to who waits for it in a turn, and empties the line at the prompt', async () => {
  {
    const interrupt = vi.fn();
    using _interrupt = keyboard.onInterrupt(interrupt);
    await type('\u0003');
    await type('\u0003');
    expect(interrupt).toHaveBeenCalledTimes(2);
  }
  const message = keyboard.readMessage();
  await type('wrong\u0003right\r');
  expect(await message).toBe('right');
});

test('the end of the keys ends the reading', async () => {
  const message = keyboard.readMessage();
  keys.end();
  expect(await message).toBeUndefined();
  expect(await keyboard.readMessage()).toBeUndefined();
});

test('the terminal marks pastes only while the keyboard is there', () => {
  expect(shown).toBe('\u001B[?2004h');
  keyboard[Symbol.dispose]();
  expect(shown).toBe('\u001B[?2004h\u001B[?2004l');
});
