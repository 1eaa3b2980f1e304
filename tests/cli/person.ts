import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { spawn } from '@lydell/node-pty';
import { expect } from 'vitest';
import { until } from '../until.ts';

const main = fileURLToPath(new URL('../../scripts/caisson.mjs', import.meta.url));

/** Somebody at a real terminal, in a shell whose settings tell whether it was put back. */
export class Person {
  static readonly #all: Person[] = [];
  text = '';
  exitCode: number | undefined;
  readonly #pty: ReturnType<typeof spawn>;

  /** `args`: what stands behind `caisson`. */
  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    const command = [process.execPath, main, ...args]
      .map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`)
      .join(' ');
    // What stands between the marks is the state of the terminal after the command.
    const script = `stty -a | grep -o -- '-\\?icanon\\|-\\?echo ' | xargs echo before; ${command}; code=$?; stty -a | grep -o -- '-\\?icanon\\|-\\?echo ' | xargs echo after; exit $code`;
    this.#pty = spawn('bash', ['-c', script], {
      cols: 90,
      rows: 25,
      cwd: tmpdir(),
      env: { PATH: process.env['PATH'], TERM: 'xterm-256color', CAISSON_DATA_DIR: '/nonexistent', ...env },
    });
    this.#pty.onData((text) => (this.text += text));
    this.#pty.onExit(({ exitCode }) => (this.exitCode = exitCode));
    Person.#all.push(this);
  }

  /** After each test. */
  static allLeave(): void {
    for (const person of Person.#all.splice(0)) person.leave();
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  resize(cols: number, rows: number): void {
    this.#pty.resize(cols, rows);
  }

  async sees(text: string | RegExp): Promise<RegExpExecArray> {
    const pattern =
      typeof text === 'string' ? new RegExp(text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)) : text;
    return await until(`${pattern} on the screen:\n${this.text}`, () => pattern.exec(this.text) ?? undefined);
  }

  /** Resolves with the exit code, when the terminal was put back as it was. */
  async ended(): Promise<number> {
    await until(`its end:\n${this.text}`, () => this.exitCode !== undefined);
    const state = (when: string): string | undefined => new RegExp(`${when} (.*)\r\n`).exec(this.text)?.[1];
    expect(state('after')).toBe(state('before'));
    expect(state('before')).toContain('icanon');
    return this.exitCode ?? -1;
  }

  leave(): void {
    this.#pty.kill('SIGKILL');
  }
}
