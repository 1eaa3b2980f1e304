import type { About } from '../api/services.ts';

/** What a person sees who opens the address in a browser. */
export function landingPage({ version, provider, model }: About): string {
  const modelLine = model.demo
    ? 'the demo model, which follows a script (set OPENAI_API_KEY for a real one)'
    : `the model ${escapeHtml(model.name)}`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Caisson</title>
<h1>Caisson ${escapeHtml(version)}</h1>
<p>The control plane for sandboxed coding agents is running, with sandboxes by ${escapeHtml(provider)} and ${modelLine}.</p>
<p>Talk to it with the command line (<code>npm run -s caisson -- --help</code>) or with the typed client; the API is under
<code>/trpc</code> and takes an API key as <code>Authorization: Bearer</code>. <a href="/healthz">/healthz</a> says whether it can serve.</p>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
