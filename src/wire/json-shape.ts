const quote = 0x22;
const backslash = 0x5c;

export interface JsonBounds {
  /** Commas and opening brackets: as many as there are values, or up to twice as many. */
  readonly marks: number;
  /** Arrays and objects in one another. */
  readonly depth: number;
}

/**
 * Whether a text of JSON is within the bounds, known without parsing it: a text of nothing but brackets takes hundreds of
 * times as long to parse as one of letters. Of what is no JSON it may say either.
 */
export function hasJsonShape(text: string, bounds: JsonBounds): boolean {
  let marks = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = endOfString(text, at);
        break;
      case 0x5b: // [
      case 0x7b: // {
        if (++marks > bounds.marks || ++depth > bounds.depth) return false;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
        break;
      case 0x2c: // ,
        if (++marks > bounds.marks) return false;
    }
  }
  return true;
}

/** Where the string ends that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === backslash) escapes++;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}
