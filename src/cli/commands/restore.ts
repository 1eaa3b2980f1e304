import { Command } from 'commander';
import { type CaissonClient, CaissonError } from '../../client/index.ts';
import { jsonOption } from '../arguments.ts';
import { addedFolders } from '../changes/added-folders.ts';
import { restoreLine } from '../changes/restore-line.ts';
import { restoreQuestion } from '../changes/restore-question.ts';
import { inPaths, tellLeftOut } from '../changes/unchanged.ts';
import { confirm } from '../confirm.ts';
import { connect } from '../connection.ts';
import { pathsOn } from '../files/remote-path.ts';
import { findAgent } from '../find-agent.ts';
import { oneLine } from '../output/printable.ts';
import { stderr, stdout, writeJson } from '../output/sink.ts';

interface Options {
  readonly run?: string;
  readonly checkpoint?: string;
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function restoreCommand(): Command {
  return new Command('restore')
    .description(
      'Put the files of the workspace back as they were before a run. Files that were added since are removed; ignored files and git history stay as they are, and so do folders that were added and are empty or a repository. It can be undone.',
    )
    .argument('<agent>', 'id or name')
    .argument('[paths...]', 'only these files and folders')
    .option('--run <id>', 'to the start of this run')
    .option('--checkpoint <id>', 'to this checkpoint, as a restore before named it')
    .option('--yes', 'do not ask')
    .option('--force', 'even while a run is under way')
    .addOption(jsonOption('what was done'))
    .action(restore);
}

async function restore(nameOrId: string, given: string[], options: Options): Promise<void> {
  const { run, checkpoint, yes = false, force = false, json = false } = options;
  if ((run === undefined) === (checkpoint === undefined)) {
    throw new CaissonError('BAD_REQUEST', 'Name either a run or a checkpoint to go back to.', {
      hint: `List them with \`caisson checkpoints ${nameOrId}\`, then give --run <id> or --checkpoint <id>.`,
    });
  }
  const client = await connect();
  const agent = await findAgent(client, nameOrId);
  const { id: agentId, name } = agent;
  const paths = pathsOn(agent, given);
  if (run !== undefined && (await client.runs.get.query({ runId: run })).agentId !== agentId) {
    throw new CaissonError('RUN_NOT_FOUND', `${name} has no run ${run}.`);
  }
  const since = run === undefined ? { checkpointId: checkpoint ?? '' } : { runId: run };
  const line = { agent: nameOrId, paths, force };
  const changes = { agentId, since, paths };
  const { total, ...status } = await client.changes.status.query({ ...changes, limit: 1 });
  if (total === 0) {
    // Also with --yes: each restore takes a checkpoint, of which the oldest go.
    await stderr.write(`Nothing has changed since${inPaths(paths)}; nothing to restore.\n`);
    await tellLeftOut(status);
    const nothing = { undo: null, written: 0, removed: 0, kept: [], keptTotal: 0 };
    if (json) await writeJson({ ...nothing, checkpoint: run ?? checkpoint, paths });
    return;
  }
  if (!yes) {
    const goal = `${name} as ${run === undefined ? `at ${checkpoint ?? ''}` : `before ${run}`}`;
    await confirm(`${await restoreQuestion(client, changes, { total, goal })} [y/N] `, {
      refusal: 'Restoring files needs --yes where nobody can be asked.',
      hint: restoreLine({ ...line, target: run === undefined ? { checkpoint: checkpoint ?? '' } : { run } }),
      unchanged: 'Nothing was restored.',
    });
  }
  const target = run === undefined ? { agentId, checkpointId: checkpoint ?? '' } : { runId: run };
  const report = await client.changes.restore.mutate({ ...target, paths, force });
  if (json) {
    await writeJson(report);
    return;
  }
  const files = report.written === 1 ? '1 file' : `${report.written} files`;
  await stdout.write(`Restored ${name}: ${files} put back, ${report.removed} removed\n`);
  for (const { path, reason } of report.kept.slice(0, 20)) {
    await stderr.write(`${stderr.style('yellow', `(left as it is: ${oneLine(path)}, ${keptTexts[reason]})`)}\n`);
  }
  if (report.keptTotal > 20) await stderr.write(`(and ${report.keptTotal - 20} more)\n`);
  if (paths.length === 0) await tellAddedFolders(client, agentId, run ?? checkpoint);
  await stderr.write(
    `${stderr.style('dim', `(undo: ${restoreLine({ ...line, target: { checkpoint: report.undo } })})`)}\n`,
  );
}

async function tellAddedFolders(client: CaissonClient, agentId: string, target: string | undefined): Promise<void> {
  const { items } = await client.changes.checkpoints.query({ agentId });
  const taken = items.find(({ id }) => id === target);
  const added = taken === undefined ? [] : await addedFolders(client, agentId, taken.at);
  if (added.length === 0) return;
  const more = added.length > 10 ? ` and ${added.length - 10} more` : '';
  const names = added.slice(0, 10).map((name) => `${oneLine(name)}/`);
  const note = `(added folders stay, empty or with their .git: ${names.join(', ')}${more})`;
  await stderr.write(`${stderr.style('dim', note)}\n`);
}

const keptTexts = {
  ignored: 'it was ignored before',
  left_out: 'the checkpoint does not hold it',
  unsaved: 'what is there now could not be brought back',
  in_the_way: 'something else is in its place',
  denied: 'the agent may not write there',
} as const;
