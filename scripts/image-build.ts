import { createGzip } from 'node:zlib';
import type Docker from 'dockerode';
import type { ImageContext } from './image-context.ts';
import { followProgress } from './image-store.ts';

interface Build {
  readonly context: ImageContext;
  readonly tag: string;
  readonly buildargs: Readonly<Record<string, string>>;
  /** Whether the steps of the build may use the engine's network. */
  readonly network: boolean;
}

/** Builds the context's Dockerfile with the engine's classic builder, which every engine has, and tags the result. */
export async function buildImage(docker: Docker, { context, tag, buildargs, network }: Build): Promise<void> {
  const archive = context.archive();
  // Over a network, compressing costs less than sending.
  const remote = /^(tcp|ssh|https?):/.test(process.env['DOCKER_HOST'] ?? '');
  const upload = remote ? archive.pipe(createGzip({ level: 1 })) : archive;
  const options = { t: tag, buildargs, rm: true, forcerm: true, ...(network ? {} : { networkmode: 'none' }) };
  await followProgress(await docker.buildImage(upload, options));
}
