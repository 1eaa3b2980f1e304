import { CaissonError } from '../../kernel/errors.ts';
import { type FileContent, wholeOf } from '../../wire/files-client.ts';

/** All of a content that was opened, up to `mostBytes`, which the caller asked for as its range. */
export async function readInline({ content, length }: FileContent, mostBytes: number): Promise<Buffer> {
  if (length > mostBytes) {
    content.destroy();
    throw new CaissonError('GUEST_PROTOCOL', 'The guest sends more of the file than was asked for.');
  }
  const chunks: Buffer[] = [];
  for await (const chunk of wholeOf(content, length)) chunks.push(chunk);
  return Buffer.concat(chunks, length);
}

/**
 * A piece of a file as text. Where it is not the end of the file, a character that it cuts is left out. BAD_REQUEST for what
 * is no UTF-8.
 */
export function pieceOfText(bytes: Buffer, isEnd: boolean): { readonly text: string; readonly length: number } {
  const length = isEnd ? bytes.length : bytes.length - cutTail(bytes);
  try {
    return { text: strict.decode(bytes.subarray(0, length)), length };
  } catch (cause) {
    throw new CaissonError('BAD_REQUEST', 'The file is not UTF-8 text, or the piece begins inside a character.', {
      hint: 'Read it with `encoding: "base64"`.',
      cause,
    });
  }
}

/** How many bytes at the end begin a character and do not finish it. */
function cutTail(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return 0;
    if (byte < 0xc0) continue; // goes on
    const expected = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return expected > back ? back : 0;
  }
  return 0;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
