import { parseArgs } from 'node:util';
import { changes } from './parts/changes.ts';
import { cold } from './parts/cold.ts';
import { egress } from './parts/egress.ts';
import { files } from './parts/files.ts';
import { late } from './parts/late.ts';
import { memory } from './parts/memory.ts';
import { models } from './parts/models.ts';
import { processes } from './parts/processes.ts';
import { previews } from './parts/previews.ts';
import { prompt } from './parts/prompt.ts';
import { quotas } from './parts/quotas.ts';
import { stream } from './parts/stream.ts';
import { terminals } from './parts/terminals.ts';
import { wire } from './parts/wire.ts';
import { writeDocument } from './report/document.ts';
import { describeMachine, loadPerCore } from './report/machine.ts';
import { markdownTable } from './report/markdown.ts';
import type { Row } from './report/row.ts';
import { type BenchContext, openBenchContext } from './rig/bench-context.ts';

const parts = {
  prompt,
  stream,
  wire,
  files,
  processes,
  terminals,
  changes,
  previews,
  quotas,
  models,
  egress,
  cold,
  late,
  memory,
} as const satisfies Record<string, (context: BenchContext) => Promise<readonly Row[]>>;
type PartName = keyof typeof parts;

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
  await using context = await openBenchContext(log);
  const load = loadPerCore();
  for (const name of options.names) {
    log(name);
    rows.push(...(await parts[name](context)));
  }
  const table = markdownTable(rows);
  const command = ['npm run bench', ...(args.length > 0 ? ['--', ...args] : [])].join(' ');
  const run = `\`${command}\` on ${await describeMachine(context.docker)}, whose load before it was ${load.toFixed(1)} a core:\n\n${table}`;
  process.stdout.write(`\n${run}\n`);
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

function isPart(name: string): name is PartName {
  return Object.hasOwn(parts, name);
}
