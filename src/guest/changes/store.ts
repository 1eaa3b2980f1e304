import { existsSync, linkSync, renameSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { CaissonError, errorText } from '../../kernel/errors.ts';
import {
  type AnyCheckpointId,
  anyCheckpointIdSchema,
  changesBounds,
  type Checkpoint,
  checkpointSchema,
  leftOutSchema,
} from '../../wire/contract/changes.ts';

const treeSchema = z.string().regex(/^[0-9a-f]{40}$/);

const recordSchema = z.object({
  checkpoint: checkpointSchema,
  tree: treeSchema.nullable(),
  /** All that it does not hold, not only those that are named. */
  leftOut: z.array(leftOutSchema),
});
type CheckpointRecord = z.infer<typeof recordSchema>;

/** A checkpoint that can be restored. */
export type UsableRecord = CheckpointRecord & { readonly tree: string };

/**
 * The repository of the checkpoints. A checkpoint is a file of JSON, and a ref that keeps its tree from being collected.
 * The agent can write here as well: what is read is validated, and what is broken counts as not there.
 */
export class CheckpointStore {
  readonly directory: string;
  readonly #workspace: string;
  #opening: Promise<void> | undefined;
  #isSwept = false;
  /** The ref that was made last as a file of its own. */
  #kept: { readonly tree: string; readonly ref: string } | undefined;

  constructor({ directory, workspace }: { readonly directory: string; readonly workspace: string }) {
    this.directory = directory;
    this.#workspace = workspace;
  }

  /** Makes the repository where it is missing, and its settings anew, once. Rejects with what the disk said. */
  open(): Promise<void> {
    this.#opening ??= this.#open().catch((thrown: unknown) => {
      this.#opening = undefined; // tried again
      throw storeError(thrown);
    });
    return this.#opening;
  }

  /** Takes away what a git that was killed left behind, and makes anew what somebody took away. */
  async mend(): Promise<void> {
    this.#opening = undefined;
    await this.open();
  }

  /** Whether a snapshot has put anything into the index. */
  hasIndex(): boolean {
    return existsSync(join(this.directory, 'index'));
  }

  /** The next snapshot reads every file again. */
  async forgetIndex(): Promise<void> {
    await rm(join(this.directory, 'index'), { force: true });
  }

  /**
   * Written when it returns: eight calls of the system, where Node's threads would be asked and answered eight times, ten times as long,
   * and the model's answer waits.
   *
   * @throws DISK_FULL, GIT_FAILED.
   */
  write(record: CheckpointRecord): void {
    const { id } = record.checkpoint;
    try {
      if (record.tree !== null) this.#keep(record.tree, id);
      this.#replace(this.#fileOf(id), JSON.stringify(record));
    } catch (thrown) {
      throw storeError(thrown);
    }
  }

  async has(id: AnyCheckpointId): Promise<boolean> {
    return existsSync(join(this.directory, this.#fileOf(id))) && (await this.#read(id)) !== undefined;
  }

  /** Rejects with CHECKPOINT_NOT_FOUND, which says why there is none where that is known. */
  async find(id: AnyCheckpointId): Promise<UsableRecord> {
    const record = await this.#read(id);
    if (record === undefined) {
      throw new CaissonError('CHECKPOINT_NOT_FOUND', `There is no checkpoint ${id}.`, {
        hint: `The last ${changesBounds.checkpoints} are kept. List them with \`caisson checkpoints <agent>\`.`,
      });
    }
    const { tree, checkpoint } = record;
    if (tree !== null) return { ...record, tree };
    throw new CaissonError('CHECKPOINT_NOT_FOUND', `Checkpoint ${id} was not taken: ${checkpoint.failure ?? ''}`);
  }

  /** The newest first. */
  async list(): Promise<readonly Checkpoint[]> {
    const records = await Promise.all((await this.#ids()).map((id) => this.#read(id)));
    return records
      .flatMap((record) => (record === undefined ? [] : [listed(record.checkpoint)]))
      .toSorted((one, other) => other.at - one.at || (one.id < other.id ? 1 : -1))
      .slice(0, changesBounds.checkpoints);
  }

  /** Forgets all but the newest `keep`; says whether any was. */
  async prune(keep: number = changesBounds.checkpoints): Promise<boolean> {
    const ids = await this.#ids();
    if (ids.length <= keep) return false;
    const kept = new Set<string>((await this.list()).slice(0, keep).map(({ id }) => id));
    for (const id of ids.filter((known) => !kept.has(known))) {
      await rm(join(this.directory, 'refs', 'caisson', id), { force: true });
      await rm(join(this.directory, this.#fileOf(id)), { force: true });
    }
    return true;
  }

  async #ids(): Promise<AnyCheckpointId[]> {
    const names = await readdir(join(this.directory, 'checkpoints'));
    return names.flatMap((name) => {
      const parsed = anyCheckpointIdSchema.safeParse(name.replace(/\.json$/, ''));
      return parsed.success ? [parsed.data] : [];
    });
  }

  async #read(id: AnyCheckpointId): Promise<CheckpointRecord | undefined> {
    try {
      const text = await readFile(join(this.directory, this.#fileOf(id)), 'utf8');
      return recordSchema.safeParse(JSON.parse(text)).data;
    } catch {
      return undefined; // missing or broken: there is none
    }
  }

  async #open(): Promise<void> {
    for (const folder of ['objects/info', 'objects/pack', 'refs/caisson', 'refs/heads', 'info', 'checkpoints']) {
      await mkdir(join(this.directory, folder), { recursive: true, mode: 0o700 });
    }
    this.#replace('HEAD', 'ref: refs/heads/none\n');
    this.#replace('config', configText(this.#workspace));
    this.#replace(join('info', 'attributes'), attributesText);
    await rm(join(this.directory, 'index.lock'), { force: true }); // only one of ours writes the index at a time
    if (this.#isSwept) return;
    for (const folder of ['', 'info', 'checkpoints', 'refs/caisson', 'objects/pack']) {
      for (const name of await readdir(join(this.directory, folder))) {
        if (unfinished.test(name)) await rm(join(this.directory, folder, name), { recursive: true, force: true });
      }
    }
    this.#isSwept = true;
  }

  /** Where a turn has changed nothing, its tree is that of the one before: another name for a ref costs less than another file. */
  #keep(tree: string, id: AnyCheckpointId): void {
    const ref = join('refs', 'caisson', id);
    try {
      if (this.#kept?.tree === tree) return linkSync(join(this.directory, this.#kept.ref), join(this.directory, ref));
    } catch {
      // forgotten meanwhile, or linked as often as may be
    }
    this.#replace(ref, `${tree}\n`);
    this.#kept = { tree, ref };
  }

  #fileOf(id: AnyCheckpointId): string {
    return join('checkpoints', `${id}.json`);
  }

  #replace(name: string, content: string): void {
    const path = join(this.directory, name);
    writeFileSync(`${path}.new`, content, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }
}

/** What an earlier guest left that was killed: of a look, of a record, of a collection, of a pack. */
const unfinished = /^(rules|page-index)-|\.new$|^gc\.pid|^\.?tmp[-_]/;

/** Of the highest rank among attributes: every file is what its bytes are. */
const attributesText = '* -text -eol -filter -ident -working-tree-encoding !diff !merge -export-subst !whitespace\n';

function configText(workspace: string): string {
  const excludes = join(workspace, '.git', 'info', 'exclude');
  return `[core]
	repositoryformatversion = 0
	bare = false
	filemode = true
	symlinks = true
	ignorecase = false
	protectNTFS = false
	protectHFS = false
	autocrlf = false
	safecrlf = false
	fsmonitor = false
	untrackedCache = false
	hooksPath = /dev/null
	attributesFile = /dev/null
	excludesFile = "${excludes.replaceAll(/["\\]/g, '\\$&')}"
	compression = 1
	logAllRefUpdates = false
	quotePath = true
	fsync = none
[gc]
	auto = 0
	autoDetach = false
	packRefs = false
	cruftPacks = false
	writeCommitGraph = false
[pack]
	threads = 1
	windowMemory = 32m
	deltaCacheSize = 16m
[maintenance]
	auto = false
`;
}

/** Bytes of the names of what one checkpoint of a listing leaves out. */
const maxNamesBytes = 16 * 1024;

function listed(checkpoint: Checkpoint): Checkpoint {
  let bytes = 0;
  const leftOut = checkpoint.leftOut.filter(({ path }) => (bytes += path.length) <= maxNamesBytes);
  return { ...checkpoint, leftOut };
}

function storeError(thrown: unknown): unknown {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return new CaissonError('DISK_FULL', 'The disk of the sandbox is full.', { cause: thrown });
  }
  if (code === undefined) return thrown;
  return new CaissonError('GIT_FAILED', `The checkpoints cannot be written: ${errorText(thrown)}.`, { cause: thrown });
}
