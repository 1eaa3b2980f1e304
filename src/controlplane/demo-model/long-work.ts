import { sequence, type Plan } from './plan.ts';
import { answer } from './step.ts';

/**
 * A turn of `count` tool calls with text before each, all of them distinct and in order: `Step 3 of 20.` and a command
 * that takes `secondsEach` and prints `step 3 of 20`. The answer lists what the commands printed.
 */
export function longWork(count: number, secondsEach: number): Plan {
  const calls = Array.from({ length: count }, (_, index) => {
    const step = `step ${index + 1} of ${count}`;
    const pause = secondsEach > 0 ? `sleep ${secondsEach}; ` : '';
    return { say: `S${step.slice(1)}.`, call: { kind: 'command', command: `${pause}echo ${step}` } as const };
  });
  return sequence(calls, (results) =>
    answer(`All ${count} steps are done:\n\n${results.map((result) => `- ${result.output.trim()}\n`).join('')}`),
  );
}
