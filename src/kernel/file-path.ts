/**
 * File names are bytes, and JSON has only text. A path of the API is text in which every byte that is not part of valid
 * UTF-8 stands as a lone surrogate, U+DC80 to U+DCFF (Python's `surrogateescape`). It survives JSON, and both functions
 * are inverse to each other for every name that a file can have.
 */
export function pathFromBytes(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return escapeInvalid(bytes); // some byte is not UTF-8
  }
}

/** Undefined for text that stands for no bytes: a surrogate that is no escaped byte, or an escape of what is valid UTF-8. */
export function pathToBytes(path: string): Uint8Array | undefined {
  if (path.isWellFormed()) return encoder.encode(path);
  const bytes: number[] = [];
  for (const character of path) {
    const code = character.codePointAt(0) ?? 0;
    if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code - 0xdc00);
    else if (code >= 0xd800 && code <= 0xdfff) return undefined;
    else bytes.push(...encoder.encode(character));
  }
  const encoded = Uint8Array.from(bytes);
  return pathFromBytes(encoded) === path ? encoded : undefined;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

function escapeInvalid(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const length = validSequence(bytes, at);
    if (length === 0) {
      text += String.fromCharCode(0xdc00 + (bytes[at] ?? 0));
      at += 1;
    } else {
      text += strict.decode(bytes.subarray(at, at + length));
      at += length;
    }
  }
  return text;
}

/** The length of the valid UTF-8 character that begins at `at`; 0 where none does. */
function validSequence(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  try {
    strict.decode(bytes.subarray(at, at + length));
    return length;
  } catch {
    return 0; // not a character after all
  }
}
