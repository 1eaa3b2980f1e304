import type { About } from '../api/services.ts';
import { escapeHtml } from './escape-html.ts';

/** What a person sees who opens the address in a browser. It asks for nothing else: no script, no font, no image. */
export function landingPage({ version, provider, harnesses, model }: About): string {
  const modelLine = model.demo
    ? 'the demo model, which follows a script (set <code>OPENAI_API_KEY</code> for a real one)'
    : escapeHtml(model.name);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Caisson</title>
<style>${style}</style>
<main>
<h1>Caisson <small>${escapeHtml(version)}</small></h1>
<p>The control plane for sandboxed coding agents is running.</p>
<dl>
<dt>Sandboxes</dt><dd>${escapeHtml(provider)}</dd>
<dt>Agents</dt><dd>${escapeHtml(harnesses.join(', '))}</dd>
<dt>Model</dt><dd>${modelLine}</dd>
<dt>Health</dt><dd><a href="/healthz">/healthz</a></dd>
</dl>
<p><a href="/login">Sign in</a></p>
<h2>Talk to it</h2>
<p>With the command line, in a clone of the repository or where the package is installed:</p>
<pre><code>npm run -s caisson -- --help
npx caisson --help</code></pre>
<p>From TypeScript with the typed client of the package, from anything else over HTTP under <code>/trpc</code>. Programs send
an API key as <code>Authorization: Bearer</code>; the first one is in <code>admin.key</code> of the data directory.</p>
</main>
</html>
`;
}

const style = `
body { margin: 0; font: 1rem/1.6 system-ui, sans-serif; color: light-dark(#1c2430, #dfe5ec); background: light-dark(#fff, #12171e); }
main { max-width: 40rem; margin: 0 auto; padding: 3rem 1.25rem; }
h1 { margin: 0; font-size: 2rem; line-height: 1.2; }
h1 small, dt { color: light-dark(#5b6675, #94a1b1); }
h1 small { font-size: 1rem; font-weight: normal; }
h2 { margin: 2rem 0 0; font-size: 1.15rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; }
dd { margin: 0; overflow-wrap: anywhere; }
a { color: light-dark(#0b5cad, #7db8f5); }
code { font: .9em/1.6 ui-monospace, monospace; }
pre { margin: 0; padding: .75rem 1rem; overflow-x: auto; border-radius: .375rem; background: light-dark(#f2f4f7, #1c232d); }
`;
