import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { connect } from '../connection.ts';
import { displayWidth } from '../output/display-width.ts';
import { stdout, writeJson } from '../output/sink.ts';
import { wrapWords } from '../output/wrap-words.ts';

export function egressPresetsCommand(): Command {
  return new Command('presets')
    .description('List hosts that belong together, by the names that rules call them.')
    .addOption(jsonOption('them'))
    .action(presets);
}

async function presets({ json = false }: { readonly json?: boolean }): Promise<void> {
  const { items } = await (await connect()).egress.policy.presets.query();
  if (json) return await writeJson(items);
  const indent = Math.max(0, ...items.map(({ name }) => displayWidth(name))) + 2;
  for (const { name, about, hosts } of items) {
    await stdout.write(`${stdout.style('bold', name.padEnd(indent))}${stdout.style('dim', about)}\n`);
    const words = hosts.map(({ host, ports }) => `${host}:${ports.join(',')}`).join(' ');
    await stdout.write(`${' '.repeat(indent)}${wrapWords(words, { width: stdout.columns, indent })}\n`);
  }
}
