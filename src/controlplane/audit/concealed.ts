const mark = '‹concealed›';

/** Names of what is secret, in an argument such as `--password=x`, `TOKEN=x` or `Authorization: x`. */
const secretName =
  'pass(?:word|wd|phrase)?|[-_]pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credential|authorization|cookie|bearer';

/**
 * Secrets that show by themselves: keys, sessions, invitations and links to previews of ours, keys of well-known services,
 * private keys.
 */
const secretShapes =
  /\b(ck_|sk-|sk_|rk_|pk_live_|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|npm_|pypi-|do[opr]_v1_|hv[bs]\.|AKIA|ASIA|AIza|ya29\.)[\w.-]{8,}|\bc(?:[is]|pv)_[\w-]{20,}|\bhf_[A-Za-z\d]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*/g;
// What follows reads a text once, or a few times, whatever is in it: names are bounded or begin where a word does, and so few
// words are looked over, and a quote need not end.
/** A token of three parts. It is looked for only where a part of that length follows. */
const tokenShape = /(?<![\w-])(?=[\w-]*\.[\w-]{8})(|[\w-]*?-)eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?/g;
const urlSecret = /(\b[a-z][a-z\d+.-]{0,20}:\/\/)[^\s/@]+@/gi;
const headerSecret =
  /\b(authorization|proxy-authorization|cookie|x-[\w-]{0,30}(?:key|token|auth))(\s*[:=]\s*)[^\r\n'"]+/gi;
const bearerSecret = /\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi;
/** Names that tell of a secret only in an address or a form. */
const parameter = /([?&;](?:x-(?:amz|goog)-signature|sig(?:nature)?|key|auth|pwd)=)[^\s&;#"']+/gi;

const name = String.raw`(?=[\w-]*?(?:${secretName}))[\w-]+`;
/** Of a script, in which it may be quoted twice: to where its quote ends, or its word. */
const value = String.raw`(?:\$?"(?:[^"\\]|\\[\s\S])*"?|\$?'[^']*'?|\\+"[^"]*"?|(?:[^\s"';&|)\\]|\\[^"])+)`;
const assignment = new RegExp(String.raw`((?<![\w-])${name}(?:\\*["'][ \t]*)?(?:=>|=(?!>)|:\s*))${value}`, 'gi');

const someWords = String.raw`(?:[ \t]+[^\s;&|]+){0,8}?[ \t]+`;
/** What the next word is a secret behind. To programs that are not here -p and -a are something else. */
const lead = `(?<![\\w-])(?:${[
  `-${name}`,
  String.raw`${name}["']?[ \t]+={1,2}>?`,
  String.raw`(?:set|setx|setenv|config)[ \t]+(?:-[\w=-]+[ \t]+){0,4}[\w./:@-]*(?:${secretName})s?(?![\w./:@-])`,
  String.raw`sshpass[ \t]+-p`,
  String.raw`redis-cli${someWords}-a`,
  String.raw`(?:(?:docker|podman|nerdctl|registry|az|oc)[ \t]+login|mongo(?:sh|dump|restore|import|export))${someWords}-p`,
].join('|')})`;
const afterLead = new RegExp(String.raw`(${lead}\s+)(?![-<>])${value}`, 'gi');
const endsInLead = new RegExp(`${lead}$`, 'i');

/** What a secret follows without a space. */
const stem = String.raw`(?<![\w-])(?:sshpass[ \t]+|(?:mysql|mariadb)[\w-]*${someWords})-p`;
const afterStem = new RegExp(String.raw`(${stem})(?!\d+:\d)${value}`, 'g');
const endsInStem = new RegExp(`${stem}$`);

/** Options whose argument is a name with its secret: of a user, though not numbers of a user and a group, and of a cookie. */
const pairs = (
  [
    [String.raw`-\w{0,4}[uU]|--(?:proxy-)?user`, String.raw`(?!\d+:\d+(?:[\s"';&|)]|$))[\w.@+-]{1,64}:(?!\/\/)`],
    [String.raw`-\w{0,4}b`, String.raw`[\w.-]{1,64}=`],
  ] as const
).map(([option, first]) => ({
  option: new RegExp(`^(?:${option})$`),
  first: new RegExp(String.raw`^(${first})[\s\S]+`),
  // To the quote that it began with, if any.
  inText: new RegExp(
    String.raw`((?<![\w-])(?:(?:${option})(?:[ \t]+|=)|-u)(["']?)${first})(?:(?:(?!\2)[\s\S])+|[^\s"';&|)]+)`,
    'g',
  ),
}));

/**
 * A text without what looks like a secret in it. What people write into commands cannot all be recognised: this is a net, not
 * a wall.
 */
export function concealed(text: string): string {
  const clean = text
    .replace(urlSecret, `$1${mark}@`)
    .replace(headerSecret, `$1$2${mark}`)
    .replace(bearerSecret, `$1 ${mark}`)
    .replace(secretShapes, mark)
    .replace(tokenShape, `$1${mark}`)
    .replace(parameter, `$1${mark}`)
    .replace(assignment, `$1${mark}`)
    .replace(afterLead, `$1${mark}`)
    .replace(afterStem, `$1${mark}`);
  return pairs.reduce((rest, { inText }) => rest.replace(inText, `$1${mark}`), clean);
}

/** The same for a command: what a word is may also show in those before it. */
export function concealedCommand(words: readonly string[]): string[] {
  // A script, or a text, is no part of what stands behind it.
  const plain = words.map((word) => (/\s/.test(word) ? '""' : word.slice(-128)));
  return words.map((word, at) => {
    const before = plain.slice(Math.max(0, at - 10), at).join(' ');
    if (!word.startsWith('-') && endsInLead.test(before)) return mark;
    if (/^-p(?!\d+:\d)./.test(word) && endsInStem.test(`${before} -p`)) return `-p${mark}`;
    const pair = pairs.find(({ option, first }) => option.test(words[at - 1] ?? '') && first.test(word));
    return pair === undefined ? concealed(word) : word.replace(pair.first, `$1${mark}`);
  });
}
