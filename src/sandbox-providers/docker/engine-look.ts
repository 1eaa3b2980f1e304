import { Docker } from './docker-client.ts';

const timeoutMs = 5_000;

/** What an engine says of itself to who only looks. */
export interface EngineLook {
  readonly version: string;
  /** The newest that `image` refers to; null: none. */
  readonly image: { readonly name: string; readonly bytes: number } | null;
}

/** Asks the engine that DOCKER_HOST or the default socket leads to, 5 s a question at most. Rejects as dockerode does. */
export async function lookAtEngine(image: string): Promise<EngineLook> {
  const docker = new Docker({ timeout: timeoutMs });
  const { Version: version } = await docker.version();
  const found = await docker.listImages({ filters: { reference: [image] } });
  const newest = found.toSorted((a, b) => b.Created - a.Created)[0];
  return { version, image: newest ? { name: newest.RepoTags?.[0] ?? image, bytes: newest.Size } : null };
}
