/**
 * Paths in URLs: the bytes of the path, percent-encoded but for the unreserved characters and `/`. `decodeURIComponent` and
 * `URLSearchParams` would turn bytes that are not UTF-8 into something else.
 */
export function percentEncodeBytes(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    const isPlain =
      (byte >= 0x30 && byte <= 0x39) ||
      (byte >= 0x41 && byte <= 0x5a) ||
      (byte >= 0x61 && byte <= 0x7a) ||
      plainSigns.includes(byte);
    text += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

/** Also takes what is not encoded. Undefined for a percent sign without two hexadecimal digits. */
export function percentDecodeBytes(text: string): Uint8Array | undefined {
  const bytes: number[] = [];
  for (const part of text.split(/(%[0-9A-Fa-f]{2})/)) {
    if (/^%[0-9A-Fa-f]{2}$/.test(part)) bytes.push(Number.parseInt(part.slice(1), 16));
    else if (part.includes('%')) return undefined;
    else for (const byte of encoder.encode(part)) bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** The first `name=…` of a query (without its `?`), decoded; undefined where it is missing or wrongly encoded. */
export function queryBytes(query: string, name: string): Uint8Array | undefined {
  for (const pair of query.split('&')) {
    if (pair.startsWith(`${name}=`)) return percentDecodeBytes(pair.slice(name.length + 1));
  }
  return undefined;
}

const encoder = new TextEncoder();
const plainSigns: readonly number[] = Array.from(encoder.encode('-._~/'));
