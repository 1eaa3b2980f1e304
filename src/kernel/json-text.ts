/** Most bytes of JSON that one UTF-16 code unit can take: an escape such as `\u0000`. */
export const mostBytesOfUnit = 6;

/** What a text adds to a JSON string, in bytes of UTF-8. A surrogate pair cut in two counts more than it does whole. */
export function jsonTextBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text)) - 2;
}

/** The text in pieces of at most `mostBytes` of JSON each, but at least one character. An empty text is one piece. */
export function textPieces(text: string, mostBytes: number): readonly string[] {
  if (text.length * mostBytesOfUnit <= mostBytes) return [text];
  const pieces: string[] = [];
  let start = 0;
  do {
    const piece = headOf(text.slice(start, start + mostBytes), mostBytes);
    pieces.push(piece);
    start += piece.length;
  } while (start < text.length);
  return pieces;
}

/** The text, or what is left of its beginning and end in `mostBytes` of JSON, with a mark that tells how much is missing. */
export function fitText(text: string, mostBytes: number): string {
  if (text.length * mostBytesOfUnit <= mostBytes || jsonTextBytes(text) <= mostBytes) return text;
  const room = Math.max(0, mostBytes - bytesOfMark);
  const head = headOf(text.slice(0, room), Math.ceil((room * 3) / 4));
  const tail = tailOf(text.slice(-room), Math.floor(room / 4));
  const missing = text.length - head.length - tail.length;
  return `${head}… [${missing} of ${text.length} characters left out] …${tail}`;
}

/** The text, or its beginning with a mark that tells how much is missing: at most `most` UTF-16 code units. */
export function shorten(text: string, most: number): string {
  if (text.length <= most) return text;
  const mark = `… [${text.length} characters]`;
  return `${wholePairs(text.slice(0, Math.max(0, most - mark.length)))}${mark}`.slice(0, most);
}

/** More than the mark of `fitText` ever takes. */
const bytesOfMark = 100;

function headOf(text: string, mostBytes: number): string {
  let head = text;
  for (let bytes = jsonTextBytes(head); bytes > mostBytes && head.length > 1; bytes = jsonTextBytes(head)) {
    head = head.slice(0, Math.max(1, Math.floor((head.length * mostBytes) / bytes)));
  }
  return wholePairs(head);
}

function tailOf(text: string, mostBytes: number): string {
  let tail = text;
  for (let bytes = jsonTextBytes(tail); bytes > mostBytes && tail !== ''; bytes = jsonTextBytes(tail)) {
    const length = Math.floor((tail.length * mostBytes) / bytes);
    tail = length === 0 ? '' : tail.slice(-length);
  }
  return isLowSurrogate(tail.charCodeAt(0)) ? tail.slice(1) : tail;
}

/** Without the first half of a pair at the end, unless that is all. */
function wholePairs(text: string): string {
  const last = text.charCodeAt(text.length - 1);
  return text.length > 1 && last >= 0xd800 && last <= 0xdbff ? text.slice(0, -1) : text;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}
