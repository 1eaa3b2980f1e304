const mark = '‹concealed›';

/** Names of what is secret, in an argument such as `--password=x`, `TOKEN=x` or `Authorization: x`. */
const secretName =
  /pass(word|wd|phrase)?|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credential|authorization|cookie|bearer/i;

/**
 * Secrets that show by themselves: keys, sessions and invitations of ours, keys of well-known services, tokens of three parts,
 * private keys.
 */
const secretShapes =
  /\b(ck_|sk-|sk_|rk_|pk_live_|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|npm_|pypi-|AKIA|ASIA|AIza|ya29\.)[\w.-]{8,}|\bc[is]_[\w-]{20,}|\beyJ[\w-]{8,}\.[\w-]{8,}(\.[\w-]*)?|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*/g;
// What follows reads a text once, whatever is in it: names are bounded, or begin where a word does.
const urlSecret = /(\b[a-z][a-z\d+.-]{0,20}:\/\/)[^\s/@]+@/gi;
const headerSecret = /\b(authorization|proxy-authorization|cookie|x-[\w-]{0,30}(?:key|token))(\s*[:=]\s*)[^\r\n'"]+/gi;
const bearerSecret = /\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi;
/** In a text with spaces, such as a script: the value ends with the word. */
const assignment = /(?<![\w-])([\w-]+)(=|:\s*)("[^"]*"|'[^']*'|[^\s"';&|)]+)/g;
const secretOption = /(?<![\w-])(--?[\w-]+)(\s+)("[^"]*"|'[^']*'|[^\s"';&|)-][^\s"';&|)]*)/g;

/**
 * A text without what looks like a secret in it. What people write into commands cannot all be recognised: this is a net, not
 * a wall.
 */
export function concealed(text: string): string {
  return text
    .replace(urlSecret, `$1${mark}@`)
    .replace(headerSecret, `$1$2${mark}`)
    .replace(bearerSecret, `$1 ${mark}`)
    .replace(secretShapes, mark)
    .replace(assignment, (whole, name: string, sign: string) =>
      secretName.test(name) ? `${name}${sign}${mark}` : whole,
    )
    .replace(secretOption, (whole, name: string, gap: string) =>
      secretName.test(name) ? `${name}${gap}${mark}` : whole,
    );
}

/** The same for a command: an option whose name tells of a secret conceals the argument behind it. */
export function concealedCommand(words: readonly string[]): string[] {
  return words.map((word, at) => {
    const before = words[at - 1] ?? '';
    const isValue = /^--?[\w-]+$/.test(before) && secretName.test(before) && !word.startsWith('-');
    return isValue ? mark : concealed(word);
  });
}
