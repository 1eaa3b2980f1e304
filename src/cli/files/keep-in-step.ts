import { lstat, readdir } from 'node:fs/promises';
import { watch } from 'node:fs';
import { join } from 'node:path';
import { CaissonError } from '../../kernel/errors.ts';
import { stderr } from '../output/sink.ts';
import { onThisMachine } from './local-error.ts';
import { put } from './put.ts';
import type { RemotePath } from './remote-path.ts';

export interface StepOptions {
  readonly mayDelete: boolean;
  readonly watch: boolean;
  readonly exclude: readonly string[];
}

/** After a change here, until more of them have come. */
const settleMs = 200;

interface Found {
  readonly size: number;
  readonly modifiedAt: number;
}

/**
 * Uploads what is not there, has another size, or is newer here. Files only: folders come with them, links are passed over.
 * With `watch` it looks again after each change, and ends only by an error.
 */
export async function keepInStep(local: string, remote: RemotePath, options: StepOptions): Promise<void> {
  const excluded = new Set(options.exclude);
  await step(local, remote, excluded, options.mayDelete);
  if (!options.watch) return;
  await stderr.write(`Watching ${local} …\n`);
  let changed = Promise.withResolvers<void>();
  const watcher = watch(local, { recursive: true }, (_kind, name) => {
    if (name === null || !name.split(/[\\/]/).some((part) => excluded.has(part))) changed.resolve();
  });
  watcher.on('error', (error) => changed.reject(error));
  try {
    for (;;) {
      await onThisMachine(() => changed.promise);
      await new Promise((resolve) => setTimeout(resolve, settleMs));
      changed = Promise.withResolvers();
      await step(local, remote, excluded, options.mayDelete);
    }
  } finally {
    watcher.close();
  }
}

async function step(
  local: string,
  remote: RemotePath,
  excluded: ReadonlySet<string>,
  mayDelete: boolean,
): Promise<void> {
  const { client, agentId, path } = remote;
  const here = new Map<string, Found>();
  await onThisMachine(() => collect(local, '', excluded, here));
  const there = await collectThere(remote, excluded);
  for (const [name, found] of here) {
    const known = there.get(name);
    if (known !== undefined && known.size === found.size && known.modifiedAt >= found.modifiedAt) continue;
    await put(join(local, name), { ...remote, path: joined(path, name) });
    await stderr.write(`  put ${name}\n`);
  }
  if (!mayDelete) return;
  for (const name of there.keys()) {
    if (here.has(name)) continue;
    await client.files.remove.mutate({ agentId, path: joined(path, name) });
    await stderr.write(`  removed ${name}\n`);
  }
}

async function collect(
  folder: string,
  above: string,
  excluded: ReadonlySet<string>,
  into: Map<string, Found>,
): Promise<void> {
  for (const entry of await readdir(join(folder, above), { withFileTypes: true })) {
    if (excluded.has(entry.name)) continue;
    const name = above === '' ? entry.name : `${above}/${entry.name}`;
    if (entry.isDirectory()) await collect(folder, name, excluded, into);
    if (!entry.isFile()) continue;
    const { size, mtimeMs } = await lstat(join(folder, name));
    into.set(name, { size, modifiedAt: mtimeMs });
  }
}

async function collectThere(remote: RemotePath, excluded: ReadonlySet<string>): Promise<Map<string, Found>> {
  const { client, agentId, path } = remote;
  const found = new Map<string, Found>();
  try {
    const top = (await client.files.stat.query({ agentId, path })).path;
    for await (const entry of client.files.listAll({ agentId, path, recursive: true })) {
      const name = entry.path.slice(top.length + 1);
      if (entry.type !== 'file' || name.split('/').some((part) => excluded.has(part))) continue;
      found.set(name, { size: entry.size, modifiedAt: entry.modifiedAt });
    }
  } catch (thrown) {
    if (!(thrown instanceof CaissonError) || thrown.code !== 'FILE_NOT_FOUND') throw thrown; // it is made by the first file
  }
  return found;
}

function joined(folder: string, name: string): string {
  return folder === '' ? name : `${folder.replace(/\/+$/, '')}/${name}`;
}
