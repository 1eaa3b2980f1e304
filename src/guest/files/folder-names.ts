import { opendir } from 'node:fs/promises';
import { CaissonError } from '../../kernel/errors.ts';
import { maxFolderEntries } from '../../wire/contract/files.ts';
import type { Pin } from './confinement.ts';
import { onFileLater } from './errno.ts';

/** Read from the kernel in one go. */
const batch = 1_024;

/**
 * The names in a pinned folder, in the order of their bytes. Reads in batches, so that a large folder holds nobody up.
 * LIMIT_REACHED above 500,000.
 */
export async function folderNames(folder: Pin): Promise<readonly Buffer[]> {
  return await onFileLater(folder.path.text, async () => {
    const names: Buffer[] = [];
    // The types of Node know no buffers here, though `encoding: 'buffer'` gives them.
    const entries = await opendir(folder.via, { encoding: 'buffer' as BufferEncoding, bufferSize: batch });
    for await (const { name } of entries) {
      names.push(Buffer.from(name));
      if (names.length <= maxFolderEntries) continue;
      throw new CaissonError(
        'LIMIT_REACHED',
        `${JSON.stringify(folder.path.text)} holds more than ${maxFolderEntries} entries.`,
        { hint: 'Look at it with a command in the sandbox.', details: { limit: maxFolderEntries } },
      );
    }
    return names.sort((a, b) => Buffer.compare(a, b));
  });
}
