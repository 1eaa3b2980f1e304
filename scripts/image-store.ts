import { createInterface } from 'node:readline/promises';
import type Docker from 'dockerode';
import { ExpectedError } from './expected-error.mjs';

export async function imageExists(docker: Docker, reference: string): Promise<boolean> {
  try {
    await docker.getImage(reference).inspect();
    return true;
  } catch (error) {
    if (statusOf(error) === 404) return false;
    throw error;
  }
}

/**
 * Reads the progress of a build, an import or a pull to its end. The engine reports a failure as one of the lines, with status 200:
 * then rejects with it, and with the last 4,000 characters of what it said before.
 */
export async function followProgress(stream: NodeJS.ReadableStream): Promise<void> {
  let said = '';
  for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
    if (line === '') continue;
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null) continue;
    if ('error' in entry)
      throw new ExpectedError(`the Docker engine refused: ${String(entry.error)}\n${said}`.trimEnd());
    if ('stream' in entry) said = (said + String(entry.stream)).slice(-4000);
  }
}

interface Pruning {
  readonly repository: string;
  /** A tag that stays, however old its image is: a build from the engine's cache gives an image of that day. */
  readonly current: string;
  readonly keep: number;
}

/** Removes the tags of `repository` but the `keep` newest, `current`, `latest`, and those whose image a container uses. */
export async function pruneTags(docker: Docker, { repository, current, keep }: Pruning): Promise<void> {
  const images = await docker.listImages({ filters: { reference: [repository] } });
  const inUse = new Set((await docker.listContainers({ all: true })).map((container) => container.ImageID));
  const old = images.toSorted((a, b) => b.Created - a.Created).slice(keep);
  const tags = old.filter((image) => !inUse.has(image.Id)).flatMap((image) => image.RepoTags ?? []);
  const staying = [current, `${repository}:latest`];
  for (const tag of tags.filter((name) => name.startsWith(`${repository}:`) && !staying.includes(name))) {
    try {
      await docker.getImage(tag).remove();
    } catch (error) {
      // 404: someone else removed it; 409: a container has come to use it since.
      if (![404, 409].includes(statusOf(error))) throw error;
    }
  }
}

function statusOf(error: unknown): number {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 0;
}
