import { parseArgs } from 'node:util';
import Docker from 'dockerode';
import { errorText } from '../../src/kernel/errors.ts';
import { isPart, type PartName, parts } from './parts/index.ts';
import { writeDocument } from './report/document.ts';
import { describeMachine, loadPerCore, processorTime, stolenShare } from './report/machine.ts';
import { markdownTable } from './report/markdown.ts';
import { percent, type Row } from './report/row.ts';
import { runPart } from './run-part.ts';

const usage = `usage: npm run bench -- [--only <part>]… [--write]

  --only <part>  only this part: ${Object.keys(parts).join(', ')}; may be given several times
  --write        put the run into docs/benchmarks.md
`;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const options = readArguments(args);
  if (options === undefined) {
    process.stderr.write(usage);
    return 2;
  }
  const started = performance.now();
  const log = (line: string): void => {
    process.stderr.write(`bench ${((performance.now() - started) / 1000).toFixed(0).padStart(3)} s: ${line}\n`);
  };
  const rows: Row[] = [];
  const stolen: string[] = [];
  const failed: PartName[] = [];
  const load = loadPerCore();
  for (const name of options.names) {
    log(name);
    const before = processorTime();
    try {
      rows.push(...(await runPart(name, log)));
    } catch (thrown) {
      log(errorText(thrown)); // the others are still worth their time
      failed.push(name);
    }
    stolen.push(`${name} ${percent(stolenShare(before, processorTime()))}`);
  }
  const command = ['npm run bench', ...(args.length > 0 ? ['--', ...args] : [])].join(' ');
  const run = [
    `\`${command}\` on ${await describeMachine(new Docker())}, whose load before it was ${load.toFixed(1)} a core:`,
    markdownTable(rows),
    `Of the processor time wanted, the machine below gave so much to others (steal): ${stolen.join(', ')}.`,
  ].join('\n\n');
  process.stdout.write(`\n${run}\n`);
  if (failed.length > 0) {
    log(`failed, and so nothing is written: ${failed.join(', ')}`);
    return 1;
  }
  if (options.write) log(`written to ${await writeDocument(run)}`);
  return 0;
}

/** Undefined for what is not understood. */
function readArguments(
  args: readonly string[],
): { readonly names: readonly PartName[]; readonly write: boolean } | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { only: { type: 'string', multiple: true }, write: { type: 'boolean', default: false } },
    });
    const names = values.only ?? Object.keys(parts);
    return names.every(isPart) ? { names, write: values.write } : undefined;
  } catch {
    return undefined; // the usage says what is
  }
}
