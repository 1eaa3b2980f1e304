import { Command } from 'commander';
import {
  type CaissonClient,
  CaissonError,
  type Change,
  type FileDiff,
  type ReadDiffOptions,
} from '../../client/index.ts';
import { jsonOption, wholeNumber } from '../arguments.ts';
import { changeLines } from '../changes/change-lines.ts';
import { colouredPatch } from '../changes/coloured-patch.ts';
import { inPaths, tellLeftOut } from '../changes/unchanged.ts';
import { commandName } from '../command-name.ts';
import { connect } from '../connection.ts';
import { pathsOn } from '../files/remote-path.ts';
import { findAgent } from '../find-agent.ts';
import { oneLine } from '../output/printable.ts';
import { stderr, stdout, writeBytes, writeJsonLine } from '../output/sink.ts';

interface Options {
  readonly run?: string;
  readonly checkpoint?: string;
  readonly stat?: boolean;
  readonly context: number;
  readonly json?: boolean;
}

type Since = ReadDiffOptions['since'];

export function diffCommand(): Command {
  return new Command('diff')
    .description(
      'Show what changed in the workspace: since its last commit, or since the start of a run. Where there is no git repository, since the start of the newest run.',
    )
    .argument('<agent>', 'id or name')
    .argument('[paths...]', 'only these files and folders')
    .option('--run <id>', 'since the start of this run')
    .option('--checkpoint <id>', 'since this checkpoint')
    .option('--stat', 'only which files, and how many lines')
    .option('--context <lines>', 'lines around each change', wholeNumber(0, 1_000), 3)
    .addOption(jsonOption('one object for each file'))
    .action(diff);
}

async function diff(nameOrId: string, given: string[], options: Options): Promise<void> {
  const { run, checkpoint, stat = false, context, json = false } = options;
  const client = await connect();
  const agent = await findAgent(client, nameOrId);
  const { id: agentId, name } = agent;
  const paths = pathsOn(agent, given);
  const since =
    run === undefined ? (checkpoint === undefined ? undefined : { checkpointId: checkpoint }) : { runId: run };
  const comparison = { agentId, paths, since: since ?? (await defaultSince(client, agentId, name)) };
  // Asked first: it knows what is left out, and refuses what cannot be compared.
  const status = await client.changes.status.query({ ...comparison, limit: 1 });
  if (stat) await printChanges(client.readChanges(comparison), json);
  else await printDiff(client.readDiff({ ...comparison, context }), json);
  if (status.total === 0 && !json) await stderr.write(`Nothing has changed${inPaths(paths)}.\n`);
  await tellLeftOut(status);
}

/** The last commit, or the newest run where the workspace holds no repository. */
async function defaultSince(client: CaissonClient, agentId: string, name: string): Promise<Since> {
  try {
    await client.changes.status.query({ agentId, since: 'commit', limit: 1 });
    return 'commit';
  } catch (thrown) {
    if (!(thrown instanceof CaissonError) || thrown.code !== 'NO_REPOSITORY') throw thrown;
    const { items } = await client.changes.checkpoints.query({ agentId });
    const newest = items.find(({ kind, failure }) => kind === 'run' && failure === null);
    if (newest === undefined) {
      throw new CaissonError('NO_REPOSITORY', `The workspace of ${name} holds no git repository, and no run yet.`, {
        hint: `Send it a message: ${commandName()} send ${name} "…"`,
        cause: thrown,
      });
    }
    await stderr.write(
      `${stderr.style('dim', `(since the start of ${newest.id}: the workspace holds no git repository)`)}\n`,
    );
    return { runId: newest.id };
  }
}

async function printChanges(changes: AsyncIterable<Change>, json: boolean): Promise<void> {
  let [files, added, removed] = [0, 0, 0];
  for await (const change of changes) {
    files++;
    added += change.added ?? 0;
    removed += change.removed ?? 0;
    if (json) await writeJsonLine(change);
    else await stdout.write(changeLines(change, stdout.style));
  }
  if (json || files === 0) return;
  await stdout.write(`${files === 1 ? '1 file' : `${files} files`}, ${added} added, ${removed} removed lines\n`);
}

async function printDiff(files: AsyncIterable<FileDiff>, json: boolean): Promise<void> {
  for await (const file of files) {
    if (json) await writeJsonLine(file);
    else if (stdout.isTerminal) await stdout.write(colouredPatch(file.patch, stdout.style));
    else await writeBytes(Buffer.from(file.patch, file.encoding));
    if (file.cutBytes > 0) {
      await stderr.write(
        `${stderr.style('yellow', `(${oneLine(file.path)}: ${file.cutBytes} bytes more are not shown)`)}\n`,
      );
    }
  }
}
