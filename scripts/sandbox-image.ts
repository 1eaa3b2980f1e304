import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Docker from 'dockerode';
import { contentHash } from './content-hash.ts';
import { ExpectedError } from './expected-error.mjs';
import { bundleForSandbox, bundleGuest, firstTurnEntry, guestEntry, type GuestBundle } from './guest-bundle.ts';
import { repositoryRoot, type SandboxCpu } from './harness-install.ts';
import { buildImage } from './image-build.ts';
import { ImageContext } from './image-context.ts';
import { imageExists, pruneTags } from './image-store.ts';
import { acquireLock } from './machine-lock.mjs';
import { buildSandboxBase, sandboxBaseTag } from './sandbox-base.ts';

export interface SandboxImageOptions {
  /** The engine to build in. Default: the one of DOCKER_HOST or of the default socket. */
  readonly docker?: Docker;
  readonly log: (line: string) => void;
  /** Puts the Claude harness in as well. Default: whether CAISSON_IMAGE_CLAUDE is 1. */
  readonly withClaude?: boolean;
  /** The module to bundle as the guest. Default: src/guest/main.ts. */
  readonly guest?: string;
}

export interface SandboxImage {
  /** `caisson/sandbox:<hash of everything in it>`. */
  readonly image: string;
  /** `caisson/sandbox-base:<hash of everything in it>`, which `image` is built on. */
  readonly base: string;
  /** Content hash of the guest in the image, as the guest reports it. Also the image's label `dev.caisson.guest-version`. */
  readonly guestVersion: string;
}

/** How many images of each kind stay in the engine. */
const kept = 2;

/**
 * The sandbox image for the present state of this repository. Builds what is missing and removes what is old; when the engine has
 * it already, answers in a fraction of a second. The same state gives the same reference, so it may be called by anybody at any time.
 */
export async function ensureSandboxImage(options: SandboxImageOptions): Promise<SandboxImage> {
  const { docker = new Docker(), log, withClaude = process.env['CAISSON_IMAGE_CLAUDE'] === '1' } = options;
  const [guest, firstTurn, cpu] = await Promise.all([
    bundleGuest(options.guest ?? guestEntry),
    bundleForSandbox(firstTurnEntry),
    engineCpu(docker),
  ]);
  const choice = { cpu, withClaude };
  const base = await sandboxBaseTag(choice);
  const dockerfile = await readFile(join(repositoryRoot, 'images/sandbox/guest.Dockerfile'));
  const parts = { dockerfile, guest, firstTurn };
  const image = `caisson/sandbox:${contentHash(base, dockerfile, guest.code, firstTurn)}`;
  if (await imageExists(docker, image)) return { image, base, guestVersion: guest.version };

  // Two builds at once would race for the engine's cache of layers, which both fill and prune.
  const release = await acquireLock('image', { work: 'build of the sandbox image', log });
  try {
    if (!(await imageExists(docker, image))) {
      log('building the sandbox image (the first time about 1 min, with a new guest about 3 s)');
      const started = performance.now();
      if (!(await imageExists(docker, base))) await buildSandboxBase(docker, base, choice, log);
      await buildGuestLayer(docker, image, base, parts);
      await pruneTags(docker, { repository: 'caisson/sandbox', current: image, keep: kept });
      await pruneTags(docker, { repository: 'caisson/sandbox-base', current: base, keep: kept });
      log(`built ${image} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
    }
  } finally {
    release();
  }
  return { image, base, guestVersion: guest.version };
}

interface GuestParts {
  readonly dockerfile: Uint8Array;
  readonly guest: GuestBundle;
  readonly firstTurn: Uint8Array;
}

async function buildGuestLayer(
  docker: Docker,
  tag: string,
  base: string,
  { dockerfile, guest, firstTurn }: GuestParts,
): Promise<void> {
  await using context = await ImageContext.create();
  await context.write('Dockerfile', dockerfile);
  await context.write('layers/guest/opt/caisson/guest.cjs', guest.code);
  await context.write('layers/guest/opt/caisson/first-turn.cjs', firstTurn);
  await buildImage(docker, {
    context,
    tag,
    buildargs: { SANDBOX_BASE: base, GUEST_VERSION: guest.version },
    network: false,
  });
}

async function engineCpu(docker: Docker): Promise<SandboxCpu> {
  const { Arch: arch, Os: os } = await docker.version();
  if (os !== 'linux')
    throw new ExpectedError(`the Docker engine runs ${os} containers: switch it to Linux containers.`);
  if (arch === 'amd64') return 'x64';
  if (arch === 'arm64') return 'arm64';
  throw new ExpectedError(`the Docker engine runs on ${arch}: sandboxes need amd64 or arm64.`);
}
