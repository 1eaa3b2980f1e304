import type { CaissonClient } from '../../client/index.ts';

/** In a larger workspace nobody looks. */
const mostEntries = 50_000;

/**
 * Folders of the workspace that were made after `since`, in milliseconds since the epoch, and hold no file but in a `.git`:
 * what a restore leaves of those that were added. Of nested ones the topmost.
 */
export async function addedFolders(client: CaissonClient, agentId: string, since: number): Promise<string[]> {
  const { path: top } = await client.files.stat.query({ agentId, path: '' });
  const young: string[] = [];
  const withFiles = new Set<string>();
  let entries = 0;
  for await (const { path, type, createdAt } of client.files.listAll({ agentId, path: '', recursive: true })) {
    if (++entries > mostEntries) return [];
    const name = path.slice(top.length + 1);
    if (name.split('/').includes('.git')) continue;
    if (type !== 'directory') {
      for (let above = parentOf(name); above !== '' && !withFiles.has(above); above = parentOf(above)) {
        withFiles.add(above);
      }
    } else if (createdAt >= since) young.push(name);
  }
  const left = new Set(young.filter((name) => !withFiles.has(name)));
  return [...left].filter((name) => !left.has(parentOf(name)));
}

function parentOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')));
}
