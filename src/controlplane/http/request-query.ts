/** The query of a request's target, as `new URL` reads it, which takes two to four times as long. */
export function requestQuery(target: string): URLSearchParams {
  // Escapes that are no UTF-8 are read in another way beside what is no ASCII, which no client sends.
  if (!/^[\x21-\x7e]*$/.test(target)) return new URL(target, 'http://caisson').searchParams;
  const [url = ''] = target.split('#', 1);
  const at = url.indexOf('?');
  return new URLSearchParams(at === -1 ? '' : url.slice(at)); // it takes one mark off
}
