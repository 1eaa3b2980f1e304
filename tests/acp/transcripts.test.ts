import { readdirSync, readFileSync } from 'node:fs';
import { RequestError } from '@agentclientprotocol/sdk/unstable';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { SessionProjection } from '../../src/acp/projection/session-projection.ts';
import { outcomeOfError, outcomeOfResponse } from '../../src/acp/turn-outcome.ts';
import { harnessEventSchema, type HarnessEvent } from '../../src/wire/contract/harness-event.ts';
import { turnOutcomeSchema, type TurnOutcome } from '../../src/wire/contract/turn.ts';

const directory = new URL('transcripts/', import.meta.url);
const names = readdirSync(directory)
  .filter((name) => name.endsWith('.jsonl') && !name.endsWith('.events.jsonl'))
  .map((name) => name.slice(0, -'.jsonl'.length));

const messageSchema = z.object({
  dir: z.enum(['client>agent', 'agent>client']),
  msg: z.object({
    method: z.string().optional(),
    params: z
      .object({ update: z.unknown().optional(), prompt: z.array(z.object({ text: z.string() })).optional() })
      .optional(),
    result: z.unknown().optional(),
    error: z.object({ code: z.number(), message: z.string(), data: z.unknown().optional() }).optional(),
  }),
});

type Step = { readonly prompt: string } | HarnessEvent | { readonly ended: TurnOutcome };

/** What the guest would journal of a transcript. */
function replay(lines: readonly string[]): Step[] {
  const projection = new SessionProjection({ unnamedChunks: 'notice' });
  const steps: Step[] = [];
  const end = (outcome: TurnOutcome): void => {
    steps.push(...projection.endTurn(outcome.state), { ended: turnOutcomeSchema.parse(outcome) });
  };
  for (const line of lines) {
    const { dir, msg } = messageSchema.parse(JSON.parse(line));
    const evidence = { failure: projection.failure, permissionEnd: null };
    if (msg.method === 'session/prompt') {
      steps.push(...projection.beginTurn(), { prompt: msg.params?.prompt?.map(({ text }) => text).join('') ?? '' });
    } else if (msg.method === 'session/update') {
      steps.push(...projection.apply(msg.params?.update));
    } else if (dir === 'agent>client' && msg.method === undefined) {
      const { error } = msg;
      if (error === undefined) end(outcomeOfResponse(msg.result, evidence));
      else end(outcomeOfError(new RequestError(error.code, error.message, error.data), evidence));
    }
  }
  return steps;
}

/** Message ids are new each time: they are numbered here. */
function withStableIds(steps: readonly Step[]): string {
  const known = new Map<string, string>();
  const stable = (id: string): string => known.get(id) ?? known.set(id, `message ${known.size + 1}`).get(id) ?? id;
  const lines = steps.map((step) => JSON.stringify(step).replaceAll(/msg-[0-9a-hjkmnp-tv-z]{26}/g, stable));
  return `${lines.join('\n')}\n`;
}

test.each(names)('the transcript %s', async (name) => {
  const lines = readFileSync(new URL(`${name}.jsonl`, directory), 'utf8')
    .trimEnd()
    .split('\n');
  const steps = replay(lines);
  for (const step of steps) if ('type' in step) harnessEventSchema.parse(step);
  await expect(withStableIds(steps)).toMatchFileSnapshot(`transcripts/${name}.events.jsonl`);
});
