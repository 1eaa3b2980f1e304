import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type Docker from 'dockerode';
import { buildImage } from '../../../scripts/image-build.ts';
import { ImageContext } from '../../../scripts/image-context.ts';
import { ensureSandboxImage } from '../../../scripts/sandbox-image.ts';

export interface TestImages extends AsyncDisposable {
  /** The real sandbox image. It stays. */
  readonly sandbox: string;
  /** The real sandbox image with the echo guest in place of the guest. */
  readonly echo: string;
  readonly otherEcho: string;
  /** Its /tmp is a file, so that nothing can be mounted there: the container is created, and then does not start. */
  readonly unstartable: string;
  /** Runs, but nobody listens on the sockets. */
  readonly silent: string;
  /** Runs, and has no program for the pipe. */
  readonly withoutPipe: string;
}

const echoGuest = new URL('../../doubles/echo-guest.ts', import.meta.url);

/** Builds small images on top of the real one, under names of their own. Disposing removes them. */
export async function buildTestImages(docker: Docker): Promise<TestImages> {
  const { image: base } = await ensureSandboxImage({ docker, log: (line) => console.log(line) });
  const run = randomBytes(4).toString('hex');
  const images = {
    echo: `caisson-test/echo:${run}`,
    otherEcho: `caisson-test/other-echo:${run}`,
    unstartable: `caisson-test/unstartable:${run}`,
    silent: `caisson-test/silent:${run}`,
    withoutPipe: `caisson-test/without-pipe:${run}`,
  };
  const echo = ['COPY echo-guest.ts /opt/echo-guest.ts', 'ENTRYPOINT ["node", "/opt/echo-guest.ts"]'];
  await build(docker, images.echo, [`FROM ${base}`, ...echo]);
  await build(docker, images.otherEcho, [`FROM ${base}`, ...echo, 'ENV OTHER=1']);
  await build(docker, images.unstartable, ['FROM scratch', 'COPY echo-guest.ts /tmp', 'CMD ["/tmp"]']);
  const silent = 'ENTRYPOINT ["sleep", "1000"]';
  await build(docker, images.silent, [`FROM ${base}`, silent]);
  await build(docker, images.withoutPipe, [
    `FROM ${base}`,
    'USER root',
    'RUN rm $(which socat)',
    'USER 1000:1000',
    silent,
  ]);
  return {
    sandbox: base,
    ...images,
    async [Symbol.asyncDispose]() {
      for (const image of Object.values(images)) await docker.getImage(image).remove();
    },
  };
}

async function build(docker: Docker, tag: string, dockerfile: readonly string[]): Promise<void> {
  await using context = await ImageContext.create();
  await context.write('Dockerfile', dockerfile.join('\n'));
  await context.write('echo-guest.ts', await readFile(echoGuest));
  await buildImage(docker, { context, tag, buildargs: {}, network: false });
}
