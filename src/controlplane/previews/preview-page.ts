import { createHash } from 'node:crypto';

export interface PreviewPage {
  readonly status: number;
  /** A few words: what is the matter. */
  readonly title: string;
  /** What happened, and what to do. Each is a paragraph; what stands between backquotes is code. */
  readonly text: readonly string[];
  /** Whether the page looks every now and then for the app, and opens it when it is there. */
  readonly retries: boolean;
  /** A line of small print, such as the error code. */
  readonly note: string;
}

/** Whether an answer is a page of ours, which the waiting page asks for. */
export const pageHeader = 'caisson-preview-page';

/** A page for people: nothing of it comes from anywhere else. */
export function renderPage({ status, title, text, retries, note }: PreviewPage): string {
  const paragraphs = text.map((paragraph) => `<p>${withCode(paragraph)}</p>`).join('\n');
  const waiting = `<p class="wait" role="status"><span class="dot"></span>Looking again every few seconds</p>\n<noscript><meta http-equiv="refresh" content="5"></noscript>\n<script>${script}</script>`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
<main>
<p class="kind">Caisson preview</p>
<h1>${escapeHtml(title)}</h1>
${paragraphs}
${retries ? waiting : ''}
<footer>${status} · ${escapeHtml(note)}</footer>
</main>
</html>
`;
}

const style = `
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1rem/1.6 system-ui, sans-serif; color: light-dark(#1c2430, #dfe5ec); background: light-dark(#f5f7f9, #0e1319); }
main { box-sizing: border-box; width: min(34rem, 100% - 2rem); margin: 2rem 0; padding: 2.25rem 2.25rem 1.5rem; border: 1px solid light-dark(#dde3ea, #26303c); border-radius: .75rem; background: light-dark(#fff, #151b23); }
.kind { margin: 0 0 .25rem; font-size: .875rem; color: light-dark(#5b6675, #94a1b1); }
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25; text-wrap: balance; }
p { margin: 0 0 .75rem; overflow-wrap: anywhere; }
code { padding: .1em .35em; border-radius: .3em; font: .9em/1.6 ui-monospace, monospace; background: light-dark(#eef1f4, #222b36); }
.wait { display: flex; align-items: center; gap: .6rem; margin-top: 1.25rem; font-size: .9375rem; color: light-dark(#0b5cad, #7db8f5); }
.dot { flex: none; width: .55rem; height: .55rem; border-radius: 50%; background: currentColor; animation: pulse 1.6s ease-in-out infinite; }
footer { margin-top: 1.5rem; padding-top: .9rem; border-top: 1px solid light-dark(#e8ecf0, #222b36); font-size: .8125rem; color: light-dark(#5b6675, #94a1b1); }
@keyframes pulse { 50% { opacity: .25; } }
@media (prefers-reduced-motion: reduce) { .dot { animation: none; } }
`;

/** Asks slower and slower, up to 10 s, and not while nobody looks. */
const script = `
let wait = 1500;
const look = async () => {
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { method: 'HEAD', cache: 'no-store', redirect: 'manual' });
      if (!answer.headers.has('${pageHeader}')) return location.reload();
    } catch {}
    wait = Math.min(wait * 1.3, 10000);
  }
  setTimeout(look, wait);
};
setTimeout(look, wait);
`;

const digest = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Our pages load nothing, and run nothing but their own script. */
export const pagePolicy = `default-src 'none'; style-src ${digest(style)}; script-src ${digest(script)}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'`;

function withCode(text: string): string {
  return escapeHtml(text).replace(/`([^`]+)`/g, '<code>$1</code>');
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
