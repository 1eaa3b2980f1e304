import { rename, writeFile } from 'node:fs/promises';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { trustFiles } from '../../wire/contract/egress.ts';

/** Of the image. */
const systemBundle = '/etc/ssl/certs/ca-certificates.crt';

/** The certificate authorities that programs in the sandbox trust: two files in the guest's run directory. */
export class TrustStore {
  /** Those of the image and the extra ones. */
  readonly bundle: string;
  /** The extra ones alone, for programs that add them to their own. Empty when there are none. */
  readonly extra: string;
  #written = '';

  /** The files are there when this returns: programs fail where one that they were pointed at is missing. */
  constructor(runDirectory: string) {
    this.bundle = join(runDirectory, trustFiles.bundle);
    this.extra = join(runDirectory, trustFiles.extra);
    writeFileSync(this.bundle, readSystemBundle());
    writeFileSync(this.extra, '');
  }

  /** Replaces the extra ones. Programs that run already keep what they have read. */
  async replaceExtra(pem: string): Promise<void> {
    if (pem === this.#written) return;
    await replace(this.bundle, `${readSystemBundle()}\n${pem}\n`);
    await replace(this.extra, pem);
    this.#written = pem;
  }
}

/** In one step: somebody may be reading it. */
async function replace(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
}

function readSystemBundle(): string {
  try {
    return readFileSync(systemBundle, 'utf8');
  } catch {
    return ''; // an image without any: then only the extra ones are trusted
  }
}
