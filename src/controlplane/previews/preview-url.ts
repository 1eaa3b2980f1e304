/** The parameter of a link that holds its token. */
const tokenParameter = 'caisson-preview';

export interface SplitUrl {
  readonly token: string | undefined;
  /** Path and query without the token, otherwise byte for byte as it came. */
  readonly clean: string;
}

/** Of a request's target, which begins with a slash. */
export function splitUrl(target: string): SplitUrl {
  const at = target.indexOf('?');
  if (at === -1) return { token: undefined, clean: target };
  const pairs = target.slice(at + 1).split('&');
  const token = pairs.find(isToken)?.slice(tokenParameter.length + 1);
  if (token === undefined) return { token, clean: target };
  const rest = pairs.filter((pair) => !isToken(pair)).join('&');
  return { token, clean: rest === '' ? target.slice(0, at) : `${target.slice(0, at)}?${rest}` };
}

export function linkOf(origin: string, token: string): string {
  return `${origin}/?${tokenParameter}=${token}`;
}

/** Whether a text, such as a referrer, could give a token away. */
export function namesToken(text: string): boolean {
  return text.includes(`${tokenParameter}=`);
}

function isToken(pair: string): boolean {
  return pair.startsWith(`${tokenParameter}=`);
}
