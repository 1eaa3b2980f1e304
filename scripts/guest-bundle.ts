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

/** The guest and all that it imports as one ES module for Node 20 and newer. The same source gives the same bytes. */
export async function bundleGuest(entry: string): Promise<GuestBundle> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    absWorkingDir: repositoryRoot,
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    // A native module cannot be bundled: the image carries it beside the guest.
    external: ['@lydell/node-pty'],
    plugins: [lazyAcpSchemas],
    legalComments: 'none',
    minifySyntax: true,
    minifyWhitespace: true,
    // Bundled CommonJS packages call require() for Node's own modules.
    banner: {
      js: "import{createRequire as caissonRequire}from'node:module';const require=caissonRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
  const code = outputFiles[0]?.contents ?? new Uint8Array();
  return { code, version: createHash('sha256').update(code).digest('hex') };
}
