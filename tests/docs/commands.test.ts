import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { repositoryRoot } from '../../scripts/harness-install.ts';
import { closedAddress } from '../cli/closed-address.ts';
import { caisson } from '../cli/command.ts';
import { codeBlocks, inlineCode, localLinks } from './markdown.ts';

/** As the command line's help says it: it was used in a way that it does not have. */
const wrongUsage = 2;
const documents = [
  ...(await readdir(repositoryRoot)).filter((file) => file.endsWith('.md')),
  ...(await readdir(join(repositoryRoot, 'docs'))).map((file) => `docs/${file}`),
].map((file) => [file, join(repositoryRoot, file)] as const);
const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(await readFile(join(repositoryRoot, 'package.json'), 'utf8')));

/** A line of a shell as its words, without quotes and comments. */
function words(line: string): string[] {
  const found = line.matchAll(/#.*$|"([^"]*)"|'([^']*)'|([^\s"'#][^\s"']*)/g);
  return [...found].map(([, double, single, bare]) => double ?? single ?? bare).filter((word) => word !== undefined);
}

async function shellLines(path: string): Promise<string[]> {
  const lines = (await codeBlocks(path, 'sh')).flatMap((block) => block.split('\n'));
  return lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
}

/** The arguments of a call of our command line; undefined for another command. */
function caissonArguments(command: readonly string[]): string[] | undefined {
  if (command[0] === 'caisson') return command.slice(1);
  return command.slice(0, 5).join(' ') === 'npm run -s caisson --' ? command.slice(5) : undefined;
}

describe.each(documents)('%s', (file, path) => {
  test('its calls of the command line are calls that the command line takes', async () => {
    const environment = { CAISSON_URL: await closedAddress(), CAISSON_API_KEY: 'none' };
    for (const line of await shellLines(path)) {
      const args = caissonArguments(words(line));
      if (args === undefined || args[0] === 'start') continue;
      const { exitCode, stderr } = await caisson(args, environment);
      expect(exitCode, `${line}\n${stderr}`).not.toBe(wrongUsage);
    }
  });

  test('the commands that its text names are there', async () => {
    const named = (await inlineCode(path)).map((code) => caissonArguments(words(code)));
    const paths = new Set(named.map((args) => args?.filter((word) => /^[a-z]+$/.test(word)).join(' ')));
    for (const name of paths) {
      if (name === undefined || name === '') continue;
      const [command = '', subcommand] = name.split(' ');
      const { stdout } = await caisson([...name.split(' '), '--help']);
      const [, usage = ''] = /^Usage: caisson (.*)$/m.exec(stdout) ?? [];
      expect(usage, `caisson ${name}`).toMatch(new RegExp(`^${command}\\b`));
      if (subcommand !== undefined) expect(usage, `caisson ${name}`).not.toContain('[command]');
    }
  });

  test('the npm scripts that it names are there', async () => {
    const commands = [...(await shellLines(path)), ...(await inlineCode(path))].map(words);
    for (const [program, first, ...rest] of commands) {
      if (program !== 'npm') continue;
      const script = first === 'run' ? rest.find((word) => !word.startsWith('-')) : first;
      if (script === undefined || ['install', 'pack', 'ci', 'i', 'init', 'pkg'].includes(script)) continue;
      expect(Object.keys(scripts), `${file} names npm ${script}`).toContain(script);
    }
  });

  test('the files and folders that it names are there', async () => {
    const links = (await localLinks(path)).map((link) => join(dirname(path), link));
    const shell = (await shellLines(path)).flatMap(words);
    const named = [...(await inlineCode(path)), ...shell]
      .filter((code) => /^(src|tests|scripts|docs|images|runtime|\.ci)\/[\w./-]*$/.test(code))
      .map((code) => join(repositoryRoot, code));
    expect([...links, ...named].filter((target) => !existsSync(target))).toEqual([]);
  });
});
