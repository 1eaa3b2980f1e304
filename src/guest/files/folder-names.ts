import { opendirSync } from 'node:fs';
import { CaissonError } from '../../kernel/errors.ts';
import { maxFolderEntries } from '../../wire/contract/files.ts';
import type { Pin } from './confinement.ts';
import { onFileLater } from './errno.ts';
import type { Pacer } from './pacer.ts';

/** Read from the kernel in one go. */
const batch = 1_024;

/**
 * The names in a pinned folder, in the order of their bytes. LIMIT_REACHED above 500,000. Reads in batches, without waiting for
 * each, but rests between them, so that a large folder holds nobody up.
 */
export async function folderNames(folder: Pin, pacer: Pacer): Promise<readonly Buffer[]> {
  return await onFileLater(folder.path.text, async () => {
    const names: Buffer[] = [];
    // The types of Node know no buffers here, though `encoding: 'buffer'` gives them.
    const entries = opendirSync(folder.via, { encoding: 'buffer' as BufferEncoding, bufferSize: batch });
    try {
      for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
        names.push(Buffer.from(entry.name));
        if (names.length > maxFolderEntries) throw tooLarge(folder);
        if (names.length % batch === 0 && pacer.isDue) await pacer.rest();
      }
    } finally {
      entries.closeSync();
    }
    return names.sort((a, b) => Buffer.compare(a, b));
  });
}

function tooLarge({ path }: Pin): CaissonError {
  return new CaissonError(
    'LIMIT_REACHED',
    `${JSON.stringify(path.text)} holds more than ${maxFolderEntries} entries.`,
    {
      hint: 'Look at it with a command in the sandbox.',
      details: { limit: maxFolderEntries },
    },
  );
}
