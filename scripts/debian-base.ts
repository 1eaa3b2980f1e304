import { mkdir, rm } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { aptInstall, whyNoApt } from './apt.ts';
import { contentHash } from './content-hash.ts';
import { ExpectedError } from './expected-error.mjs';
import { repositoryRoot, type SandboxCpu } from './harness-install.ts';
import { followProgress, imageExists } from './image-store.ts';
import { findProgram, runCommand } from './run-command.ts';

const defaultBase = 'debian:bookworm-slim';
const pullDeadlineMs = 60_000;

/** What the sandbox has from Debian: what agents and the guest call, and nothing that a person would look for in a desktop. */
export const debianPackages = [
  'ca-certificates',
  'curl',
  'git',
  'jq',
  'less',
  'openssh-client',
  'patch',
  'procps',
  'python3',
  'python3-pip',
  'python3-venv',
  'socat',
  'unzip',
  'wget',
  'xz-utils',
] as const;

/** Left out of a base that is made here, as in Debian's own slim images. */
const leftOut = ['doc', 'info', 'locale', 'man', 'lintian', 'bug'].map((folder) => `/usr/share/${folder}/*`);

export interface DebianBase {
  readonly image: string;
  /** Whether it is known to have all of `debianPackages`, so that building on it needs no network. */
  readonly complete: boolean;
}

/** The image to build on: CAISSON_BASE_IMAGE, or Debian's own. */
export function chosenBase(): string {
  const chosen = process.env['CAISSON_BASE_IMAGE'];
  return chosen === undefined || chosen === '' ? defaultBase : chosen;
}

/**
 * An image in the engine to build on: `chosenBase()` where it is there or can be pulled within 60 s, else, unless it was chosen by the
 * user, a Debian of the same kind made here with mmdebstrap (once; needs root on Debian or Ubuntu, and the engine's processor).
 */
export async function ensureDebianBase(
  docker: Docker,
  cpu: SandboxCpu,
  log: (line: string) => void,
): Promise<DebianBase> {
  const base = chosenBase();
  if (await imageExists(docker, base)) return { image: base, complete: false };
  // Its name carries the list of packages, so that a longer list makes a new one.
  const own = `caisson/debian-base:bookworm-${contentHash(debianPackages.join(' ')).slice(0, 8)}`;
  if (base === defaultBase && (await imageExists(docker, own))) return { image: own, complete: true };

  log(`pulling ${base}`);
  const refusal = await pull(docker, base);
  if (refusal === undefined) return { image: base, complete: false };
  if (base !== defaultBase) throw new ExpectedError(`CAISSON_BASE_IMAGE=${base} cannot be pulled (${refusal}).`);

  const obstacle = whyNoApt() ?? (process.arch === cpu ? undefined : `this is ${process.arch}, the engine ${cpu}`);
  if (obstacle !== undefined) {
    throw new ExpectedError(
      `${base} cannot be pulled (${refusal}), and a base cannot be made here (${obstacle}): ` +
        `load it into the engine (docker load), or name another with CAISSON_BASE_IMAGE.`,
    );
  }
  log(`${base} cannot be pulled: making the same with mmdebstrap (about 30 s)`);
  await make(docker, own);
  return { image: own, complete: true };
}

async function make(docker: Docker, name: string): Promise<void> {
  if (findProgram('mmdebstrap') === undefined) await aptInstall(['mmdebstrap', 'debian-archive-keyring']);
  const folder = join(repositoryRoot, '.caisson/cache');
  await mkdir(folder, { recursive: true });
  const archive = join(folder, `debian-base-${process.pid}.tar`);
  try {
    const args = [
      '--variant=apt',
      `--include=${debianPackages.join(',')}`,
      ...leftOut.map((path) => `--dpkgopt=path-exclude=${path}`),
      'bookworm',
      archive,
    ];
    await runCommand({ program: findProgram('mmdebstrap') ?? 'mmdebstrap', args, purpose: 'make a Debian base' });
    const [repo, tag] = name.split(':');
    await followProgress(await docker.importImage(createReadStream(archive), { repo, tag }));
  } finally {
    await rm(archive, { force: true });
  }
}

/** Undefined when pulled, else why not. */
async function pull(docker: Docker, image: string): Promise<string | undefined> {
  try {
    const abortSignal = AbortSignal.timeout(pullDeadlineMs);
    await followProgress(await docker.pull(image, { abortSignal }));
    return (await imageExists(docker, image)) ? undefined : 'the registry gave nothing';
  } catch (error) {
    // Any refusal (no registry, no such image, too slow) has the same remedy, which the caller knows.
    return error instanceof Error ? error.message : String(error);
  }
}
