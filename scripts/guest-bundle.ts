import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { build } from 'esbuild';
import { repositoryRoot } from './harness-install.ts';
import { lazyAcpSchemas } from './lazy-acp-schemas.ts';

export interface GuestBundle {
  readonly code: Uint8Array;
  /** SHA-256 of `code`, in hexadecimal: what the running guest reports as its version. */
  readonly version: string;
}

export const guestEntry = join(repositoryRoot, 'src/guest/main.ts');

/** The program that plays the guest's control plane for one turn when the image is built. */
export const firstTurnEntry = join(repositoryRoot, 'scripts/first-turn.ts');

/** The guest and all that it imports as one CommonJS module for Node 20 and newer. The same source gives the same bytes. */
export async function bundleGuest(entry: string): Promise<GuestBundle> {
  const code = await bundleForSandbox(entry);
  return { code, version: createHash('sha256').update(code).digest('hex') };
}

/** Any program and all that it imports, in the same way. */
export async function bundleForSandbox(entry: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    absWorkingDir: repositoryRoot,
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20',
    // As one script, of which V8 can keep what it has compiled: images/sandbox/run.cjs.
    format: 'cjs',
    supported: { 'dynamic-import': false },
    // A native module cannot be bundled: the image carries it beside the guest.
    external: ['@lydell/node-pty'],
    plugins: [lazyAcpSchemas],
    legalComments: 'none',
    minifySyntax: true,
    minifyWhitespace: true,
    banner: { js: "'use strict';" }, // as ES modules are
    logLevel: 'error',
  });
  return outputFiles[0]?.contents ?? new Uint8Array();
}
