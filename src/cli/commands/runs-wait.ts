import { Command } from 'commander';
import { jsonOption, waitMs } from '../arguments.ts';
import { connect } from '../connection.ts';
import { exitCodes } from '../exit-codes.ts';
import { Exit } from '../failure.ts';
import { stderr, stdout, writeJson } from '../output/sink.ts';
import { runEndText } from '../turn/run-end-text.ts';
import { printable } from '../output/printable.ts';

/** The longest wait that the API takes in one call; a longer one is made of several. */
const longestCallMs = 60_000;

export function runsWaitCommand(): Command {
  return new Command('wait')
    .description(
      'Wait for the end of a run. Exits with 3 when it did not complete, or not in time; the run itself goes on.',
    )
    .argument('<run>', 'its id')
    .option(
      '--timeout <time>',
      'wait at most this long, e.g. 90s; a plain number is seconds (default: until it ends)',
      waitMs(),
    )
    .addOption(jsonOption('the outcome'))
    .action(wait);
}

async function wait(
  runId: string,
  { timeout, json = false }: { readonly timeout?: number; readonly json?: boolean },
): Promise<void> {
  const client = await connect();
  const deadline = timeout === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeout;
  for (;;) {
    const timeoutMs = Math.round(Math.max(0, Math.min(longestCallMs, deadline - performance.now())));
    const outcome = await client.runs.wait.query({ runId, timeoutMs });
    if (outcome.status === 'timeout' && performance.now() < deadline) continue;
    if (json) await writeJson(outcome);
    if (outcome.status === 'timeout') {
      await stderr.write(`Run ${runId} has not ended yet.\n`);
      throw new Exit(exitCodes.runNotCompleted);
    }
    if (!json) await stdout.write(`${printable(runEndText(outcome.run))}\n`);
    if (outcome.status === 'error') throw new Exit(exitCodes.runNotCompleted);
    return;
  }
}
