import { Command } from 'commander';
import { jsonOption } from '../arguments.ts';
import { exitCodes } from '../exit-codes.ts';
import { Exit } from '../failure.ts';
import { printable } from '../output/printable.ts';
import { stdout, writeJson } from '../output/sink.ts';
import { wrapWords } from '../output/wrap-words.ts';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Say what is there, what is missing and what to do. Exits with 1 when something needed is missing.')
    .addOption(jsonOption('the findings'))
    .action(doctor);
}

const marks = { ok: ['green', '✓'], note: ['yellow', '!'], missing: ['red', '✗'] } as const;

async function doctor({ json = false }: { readonly json?: boolean }): Promise<void> {
  const { examine } = await import('../doctor/examine.ts');
  const findings = await examine(process.env);
  if (json) await writeJson(findings);
  const width = Math.max(...findings.map(({ what }) => what.length));
  for (const { what, state, says, remedy } of json ? [] : findings) {
    const [colour, mark] = marks[state];
    const wrapped = (text: string): string => wrapWords(printable(text), { width: stdout.columns, indent: width + 4 });
    await stdout.write(`${stdout.style(colour, mark)} ${what.padEnd(width)}  ${wrapped(says)}\n`);
    if (remedy !== undefined) await stdout.write(`  ${' '.repeat(width)}  ${stdout.style('dim', wrapped(remedy))}\n`);
  }
  if (findings.some(({ state }) => state === 'missing')) throw new Exit(exitCodes.failed);
}
