import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { maxDepth } from '../../../src/wire/contract/files.ts';
import { wholeOf } from '../../../src/wire/files-client.ts';
import { runGuest } from '../running-guest.ts';

test.each(['tar', 'zip'] as const)(
  'a %s archive that fails when all so far is on its way is cut, and no short one',
  async (format) => {
    await using running = await runGuest();
    const { files } = await running.client();
    await mkdir(join(running.roots[0], ...Array<string>(maxDepth + 1).fill('d')), { recursive: true });
    const stream = await files.openArchive(Buffer.from(''), format);
    await expect(buffer(wholeOf(stream, undefined))).rejects.toMatchObject({ code: 'WIRE_LOST' });
  },
);
