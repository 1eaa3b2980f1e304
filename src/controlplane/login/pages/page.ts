import { createHash } from 'node:crypto';
import { escapeHtml } from '../../http/escape-html.ts';

interface Page {
  readonly title: string;
  /** HTML. */
  readonly body: string;
}

/** What a person is told above a form. `problem`: something did not work. */
export interface Notice {
  readonly kind: 'problem' | 'done';
  readonly text: string;
}

/** A page for people: nothing of it comes from anywhere else. */
export function renderPage({ title, body }: Page): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)} · Caisson</title>
<style>${style}</style>
<main>
<p class="kind">Caisson</p>
<h1>${escapeHtml(title)}</h1>
${body}
</main>
</html>
`;
}

export function noticeHtml(notice: Notice | undefined): string {
  if (notice === undefined) return '';
  return `<p class="${notice.kind}" role="${notice.kind === 'problem' ? 'alert' : 'status'}">${escapeHtml(notice.text)}</p>`;
}

const style = `
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1rem/1.6 system-ui, sans-serif; color: light-dark(#1c2430, #dfe5ec); background: light-dark(#f5f7f9, #0e1319); }
main { box-sizing: border-box; width: min(26rem, 100% - 2rem); margin: 2rem 0; padding: 2.25rem; border: 1px solid light-dark(#dde3ea, #26303c); border-radius: .75rem; background: light-dark(#fff, #151b23); }
main:has(.wide) { width: min(36rem, 100% - 2rem); }
.kind { margin: 0 0 .25rem; font-size: .875rem; color: light-dark(#5b6675, #94a1b1); }
h1 { margin: 0 0 1.25rem; font-size: 1.5rem; line-height: 1.25; text-wrap: balance; }
h2 { margin: 2rem 0 .5rem; font-size: 1.0625rem; }
p { margin: 0 0 1rem; overflow-wrap: anywhere; }
form { display: grid; gap: 1rem; margin: 0; }
label { display: grid; gap: .3rem; font-size: .9375rem; font-weight: 600; }
[hidden] { display: none !important; }
label small { font-weight: normal; color: light-dark(#5b6675, #94a1b1); }
input { box-sizing: border-box; width: 100%; padding: .55rem .7rem; font: inherit; font-weight: normal; color: inherit; border: 1px solid light-dark(#c3ccd6, #3a4654); border-radius: .45rem; background: light-dark(#fff, #0e1319); }
button, .button { box-sizing: border-box; display: block; width: 100%; padding: .6rem 1rem; font: inherit; font-weight: 600; text-align: center; text-decoration: none; color: #fff; border: 1px solid transparent; border-radius: .45rem; background: #0b5cad; cursor: pointer; }
button:hover, .button:hover { background: #094b8e; }
button.quiet, .button.quiet { color: inherit; border-color: light-dark(#c3ccd6, #3a4654); background: transparent; }
button.quiet:hover, .button.quiet:hover { background: light-dark(#f2f4f7, #1c232d); }
button.small { width: auto; padding: .25rem .7rem; font-size: .875rem; }
:is(input, button, .button, a):focus-visible { outline: 2px solid light-dark(#0b5cad, #7db8f5); outline-offset: 2px; }
a { color: light-dark(#0b5cad, #7db8f5); }
.or { display: flex; align-items: center; gap: .75rem; margin: 1.25rem 0; font-size: .875rem; color: light-dark(#5b6675, #94a1b1); }
.or::before, .or::after { content: ''; flex: 1; border-top: 1px solid light-dark(#dde3ea, #26303c); }
.problem, .done { padding: .6rem .8rem; font-size: .9375rem; border-radius: .45rem; }
.problem { color: light-dark(#8f1d1d, #ffb4ab); background: light-dark(#fdecea, #3a1a18); }
.done { color: light-dark(#14532d, #a7e3bd); background: light-dark(#e8f5ec, #12301f); }
.hint { margin: 1.25rem 0 0; font-size: .875rem; color: light-dark(#5b6675, #94a1b1); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; margin: 0 0 1.25rem; }
dt { color: light-dark(#5b6675, #94a1b1); }
dd { margin: 0; overflow-wrap: anywhere; }
ul { margin: 0 0 1rem; padding: 0; list-style: none; }
li { display: flex; align-items: center; justify-content: space-between; gap: 1rem; padding: .65rem 0; border-bottom: 1px solid light-dark(#e8ecf0, #222b36); }
li span { min-width: 0; overflow-wrap: anywhere; }
li small { display: block; color: light-dark(#5b6675, #94a1b1); }
.row { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem; }
`;

/** Takes the invitation out of the address, where it would stay in the history. Nothing of it needs to be decoded. */
export const invitationScript = `
const field = document.querySelector('input[name=invitation]');
if (location.hash.length > 1) {
  field.value = location.hash.slice(1);
  field.closest('label').hidden = true;
  history.replaceState(null, '', location.pathname);
}
`;

const digest = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Our pages load nothing, run nothing but their own script, send forms to us only, and are in nobody's frame. */
export const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src ${digest(style)}; script-src ${digest(invitationScript)}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
  // With less, a browser would not say where a form comes from.
  'referrer-policy': 'same-origin',
} as const;
