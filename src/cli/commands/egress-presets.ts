import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { displayWidth } from '../output/display-width.ts';
import { stdout, writeJson } from '../output/sink.ts';

export function egressPresetsCommand(): Command {
  return new Command('presets')
    .description('List hosts that belong together, by the names that rules call them.')
    .addOption(jsonOption('them'))
    .action(presets);
}

async function presets({ json = false }: { readonly json?: boolean }): Promise<void> {
  const { items } = await (await connect()).egress.policy.presets.query();
  if (json) return await writeJson(items);
  const indent = ' '.repeat(Math.max(0, ...items.map(({ name }) => displayWidth(name))) + 2);
  const width = (stdout.columns ?? Infinity) - indent.length;
  for (const { name, about, hosts } of items) {
    await stdout.write(`${stdout.style('bold', name.padEnd(indent.length))}${stdout.style('dim', about)}\n`);
    const words = hosts.map(({ host, ports }) => `${host}:${ports.join(',')}`);
    for (const line of linesOf(words, width)) await stdout.write(`${indent}${line}\n`);
  }
}

/** Words with a space between, as many on a line as fit `width` columns. */
function linesOf(words: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
