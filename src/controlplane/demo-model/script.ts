import { about } from './about.ts';
import { intents } from './intents.ts';
import type { ModelRequest } from './responses-request.ts';
import { act, answer, type Step } from './step.ts';

/** A command that is still running after this many waits of 30 seconds is left alone, so that a turn has an end. */
const MOST_WAITS = 120;

/**
 * The demo model's answer to a request. It is decided by the request alone: the user's last text and the results of the
 * tool calls made since. So a retry gets the same answer, also from a server that has just started.
 */
export function demoScript(request: ModelRequest): Step {
  switch (request.purpose) {
    case 'title':
      return answer(JSON.stringify({ title: titleOf(request.userText) }));
    case 'compaction':
      return answer('The conversation was held with the demo model, which keeps nothing in mind between messages.');
    case 'turn':
      return turnStep(request);
  }
}

function turnStep(request: ModelRequest): Step {
  const text = request.userText.trim().replace(/^please\s+/i, '');
  const last = request.results.at(-1);
  if (last?.running != null && last.waits < MOST_WAITS) return act({ kind: 'wait', running: last.running });
  for (const intent of intents) {
    const match = intent.pattern.exec(text);
    if (match === null) continue;
    const step = intent.plan(match)(request.results);
    if (step.kind === 'reply' && step.call !== undefined && request.layout.kind === 'none') break;
    return step;
  }
  return answer(about());
}

/** The first words of the message that the title is asked for. */
function titleOf(prompt: string): string {
  const message = prompt.slice(prompt.lastIndexOf("User's first message:")).replace("User's first message:", '');
  return message.trim().split(/\s+/).slice(0, 6).join(' ').slice(0, 60) || 'Demo';
}
