import { join } from 'node:path';
import type { Clock } from '../../kernel/clock.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { newCheckpointId, type RunId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { SerialQueue } from '../../kernel/serial-queue.ts';
import {
  changesBounds,
  type Checkpoint,
  type DiffPage,
  type DiffRequest,
  type Kept,
  type RestoreReport,
  type RestoreRequest,
  type Since,
  type StatusPage,
  type StatusRequest,
} from '../../wire/contract/changes.ts';
import { BoundedWork } from '../bounded-work.ts';
import { type BytePath, fromApiPath, toApiPath } from './byte-path.ts';
import { describeChanges } from './change-details.ts';
import { compare, type Comparison, within } from './comparison.ts';
import { diffFiles } from './file-diffs.ts';
import { Git } from './git.ts';
import { Housekeeping } from './housekeeping.ts';
import { ignoredBefore } from './ignored-before.ts';
import { treesOf } from './page-trees.ts';
import { isThere, putBack } from './restore.ts';
import { named, recordOf, RunCheckpoints } from './run-checkpoints.ts';
import { SnapshotTaker } from './snapshot.ts';
import { CheckpointStore } from './store.ts';
import { diffTrees, type TreeChange, type TreePair } from './tree-diff.ts';

export interface ChangesOptions {
  readonly workspace: string;
  /** The agent's home: the checkpoints are kept in it. */
  readonly home: string;
  /** How long the checkpoint of a run may take. Default 10 s. */
  readonly checkpointTimeoutMs?: number | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Restores, and looks that are under way, that may wait for their turn, so that a checkpoint never waits long behind them. */
const maxWaiting = 16;
/** They take turns for a part of what they do. */
const maxLooks = 4;
const maxWaitingLooks = 12;

/** What the agent changed: checkpoints, how the workspace differs from them and from the last commit, and the way back. */
export class Changes {
  readonly #options: ChangesOptions;
  readonly #store: CheckpointStore;
  readonly #git: Git;
  readonly #taker: SnapshotTaker;
  readonly #runs: RunCheckpoints;
  readonly #housekeeping: Housekeeping;
  readonly #queue = new SerialQueue();
  readonly #looks = new BoundedWork({ name: 'looks at the changes', running: maxLooks, waiting: maxWaitingLooks });
  #waiting = 0;

  constructor(options: ChangesOptions) {
    this.#options = options;
    const { workspace, home, clock, logger, checkpointTimeoutMs = 10_000 } = options;
    this.#store = new CheckpointStore({ directory: join(home, '.caisson', 'checkpoints'), workspace });
    this.#git = new Git({ directory: this.#store.directory, workspace });
    this.#taker = new SnapshotTaker({ git: this.#git, store: this.#store, workspace });
    this.#housekeeping = new Housekeeping({ git: this.#git, store: this.#store, logger });
    this.#runs = new RunCheckpoints({
      store: this.#store,
      taker: this.#taker,
      inTurn: (work) => this.#queue.run(work),
      timeoutMs: checkpointTimeoutMs,
      onTaken: () => this.#housekeeping.checkpointTaken(),
      clock,
      logger,
    });
  }

  /** Begins the checkpoint of a run, and returns. */
  turnStarted(runId: RunId): void {
    this.#runs.begin(runId);
  }

  /** What the model's answers have to wait for; undefined when it is nothing. Never rejects. */
  beforeAnswers(): Promise<unknown> | undefined {
    return this.#runs.settled();
  }

  async checkpoints(): Promise<readonly Checkpoint[]> {
    await this.#store.open();
    return await this.#store.list();
  }

  async status(request: StatusRequest, signal: AbortSignal): Promise<StatusPage> {
    return await this.#looks.run(async () => {
      const { page, pair, ...rest } = await this.#page(request, signal);
      return { ...rest, changes: await describeChanges(this.#git, page, pair) };
    }, signal);
  }

  async diff(request: DiffRequest, signal: AbortSignal): Promise<DiffPage> {
    return await this.#looks.run(async () => {
      const { page, pair, ...rest } = await this.#page(request, signal);
      const changes = await describeChanges(this.#git, page, pair);
      const files = await diffFiles(this.#git, changes, { ...pair, context: request.context });
      const isCut = files.length < changes.length;
      return { ...rest, files, nextAfter: isCut ? (files.at(-1)?.path ?? null) : rest.nextAfter };
    }, signal);
  }

  /** `activeRun`: some run that is under way, asked when it is the restore's turn: nothing else looks or restores meanwhile. */
  async restore(request: RestoreRequest, activeRun: () => RunId | undefined): Promise<RestoreReport> {
    const paths = this.#paths(request.paths);
    return await this.#inTurn(async () => {
      const runId = activeRun();
      if (runId !== undefined && !request.force) {
        throw new CaissonError('RUN_UNDER_WAY', `Run ${runId} is under way: its agent may be changing files.`, {
          details: { runId },
        });
      }
      return await this.#restore(request.checkpoint, paths);
    });
  }

  /** Ends what is under way. When it resolves, nothing is written any more. */
  async stop(): Promise<void> {
    this.#housekeeping.stop();
    this.#git.stop();
    await this.#runs.settled();
    await this.#queue.run(async () => undefined);
  }

  async #restore(id: RestoreRequest['checkpoint'], paths: readonly BytePath[]): Promise<RestoreReport> {
    const { workspace, clock } = this.#options;
    await this.#store.open();
    const target = await this.#store.find(id);
    const at = clock.now();
    let present = await this.#taker.take();
    const differences = async () =>
      within(await diffTrees(this.#git, { from: present.tree, to: target.tree, renames: false }), paths);
    // What is ignored now, and would be overwritten, goes into the checkpoint of the present as well.
    const hidden: BytePath[] = [];
    for (const { path, status } of await differences()) {
      if (status === 'added' && (await isThere(path, workspace))) hidden.push(path);
    }
    const keep = new Map<BytePath, Kept['reason']>();
    if (hidden.length > 0) {
      const unsaved = new Set((await this.#taker.include(hidden)).map(({ path }) => path));
      for (const path of hidden.filter((known) => unsaved.has(toApiPath(known)))) keep.set(path, 'unsaved');
      present = await this.#taker.take();
    }
    const changes = await differences();
    const surplus = changes.filter(({ status }) => status === 'deleted').map(({ path }) => path);
    const directory = this.#store.directory;
    for (const path of await ignoredBefore({ git: this.#git, tree: target.tree, paths: surplus, directory })) {
      keep.set(path, 'ignored');
    }
    const leftOut = new Set(target.leftOut.map(({ path }) => path));
    if (leftOut.size > 0) {
      for (const path of surplus.filter((known) => leftOut.has(toApiPath(known)))) keep.set(path, 'left_out');
    }
    const undo = newCheckpointId();
    this.#store.write(recordOf(undo, 'restore', { at, durationMs: clock.now() - at }, present));
    await this.#store.prune();
    try {
      const { written, removed, kept } = await putBack({ git: this.#git, workspace, changes, keep });
      return { undo, written, removed, kept: kept.slice(0, changesBounds.named), keptTotal: kept.length };
    } catch (thrown) {
      if (!(thrown instanceof CaissonError)) throw thrown;
      const { code, message, details } = thrown;
      throw new CaissonError(code, message, {
        hint: `How it was before is checkpoint ${undo}.`,
        details: { ...details, undo },
        cause: thrown,
      });
    }
  }

  /** One page of a comparison, and two trees with no more than the files of the page. */
  async #page(request: StatusRequest, signal: AbortSignal): Promise<ComparedPage> {
    const paths = this.#paths(request.paths);
    const { changes, pair, repositories, leftOut } = await this.#compare(request.since, signal);
    const wanted = within(changes, paths);
    const after = request.after === null ? undefined : fromApiPath(request.after, this.#options.workspace);
    const first = after === undefined ? 0 : wanted.findIndex(({ path }) => path > after);
    const page = first < 0 ? [] : fitting(wanted.slice(first, first + request.limit));
    const last = page.at(-1);
    const isLast = last === undefined || last === wanted.at(-1);
    return {
      page,
      pair: page.length === 0 ? pair : await treesOf(this.#git, page, pair, this.#store.directory),
      repositories: [...repositories],
      total: wanted.length,
      nextAfter: isLast ? null : toApiPath(last.path),
      ...named(leftOut),
    };
  }

  #compare(since: Since, signal: AbortSignal): Promise<Comparison> {
    const { workspace } = this.#options;
    return this.#inTurn(async () => {
      signal.throwIfAborted();
      return await compare({ git: this.#git, store: this.#store, taker: this.#taker, workspace, signal }, since);
    });
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= maxWaiting) {
      throw new CaissonError('LIMIT_REACHED', `${maxWaiting} others wait to look at the changes of this agent.`, {
        hint: 'Try again in a moment.',
      });
    }
    this.#waiting++;
    try {
      return await this.#queue.run(work);
    } finally {
      this.#waiting--;
    }
  }

  #paths(paths: readonly string[]): readonly BytePath[] {
    return paths.map((path) => fromApiPath(path, this.#options.workspace));
  }
}

/** Bytes of the paths of a page. */
const maxPathBytes = 512 * 1024;

/** As many as fit into an answer, but at least one. */
function fitting(changes: readonly TreeChange[]): readonly TreeChange[] {
  let bytes = 0;
  const end = changes.findIndex(({ path, oldPath }, index) => {
    bytes += path.length + (oldPath?.length ?? 0);
    return index > 0 && bytes > maxPathBytes;
  });
  return end < 0 ? changes : changes.slice(0, end);
}

interface ComparedPage extends Omit<StatusPage, 'changes'> {
  readonly page: readonly TreeChange[];
  readonly pair: TreePair;
}
