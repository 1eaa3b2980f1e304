import { intents } from './intents.ts';

/** What the demo model says of itself: what it is, what it can do, how to get a real model. */
export function about(): string {
  return [
    'This is the demo model. It does not think: it follows a small script, so that Caisson can be tried without a key.',
    'What it does in the sandbox is real. It understands:',
    '',
    ...intents.map((intent) => `- \`${intent.usage}\`: ${intent.effect}`),
    '',
    'For a real model, stop Caisson and start it again with `OPENAI_API_KEY` set.',
  ].join('\n');
}
