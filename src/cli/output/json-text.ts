/** What JSON may hold as it is, but a terminal takes for a command or does not show. */
const unseen = /[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/gu;

/** JSON that is safe for a terminal: control and format characters are escaped. To a parser it is the same. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replaceAll(unseen, escaped);
}

/** One `\uXXXX` for each UTF-16 code unit. */
function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
