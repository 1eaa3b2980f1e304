import type { Run } from '../../client/index.ts';
import { advice } from '../command-name.ts';
import { printable } from '../output/printable.ts';
import { stdout } from '../output/sink.ts';

type EndReason = NonNullable<Run['reason']>;

/** What each reason means for the person who waits. */
const sentences = {
  end_turn: 'it is done',
  max_tokens: 'the model reached its longest answer',
  max_turn_requests: 'the agent reached its largest number of model requests',
  refusal: 'the model refused to go on',
  model_quota_exhausted: 'a quota is used up, of the model service or of Caisson',
  model_unauthorized: 'the model service refused the key',
  model_error: 'the model service failed',
  harness_start_failed: 'the coding agent did not start',
  harness_exited: 'the coding agent ended in the middle of the turn',
  harness_error: 'the coding agent reported an error',
  session_lost: 'the coding agent lost its session',
  sandbox_start_failed: 'the sandbox did not start',
  sandbox_unreachable: 'the sandbox could not be reached',
  canceled_by_user: 'it was canceled',
  permission_rejected: 'a permission was refused, which ends the turn',
  permission_expired: 'nobody answered a permission request in time',
  canceled_by_harness: 'the coding agent canceled it',
  conversation_closed: 'the conversation was closed',
  run_timeout: 'it took longer than allowed',
  harness_idle: 'the coding agent said nothing for too long',
  sandbox_lost: 'the sandbox went away; what was done until then is unknown',
  access_revoked: 'the access of its sender was taken away',
} as const satisfies Record<EndReason, string>;

/** E.g. `failed (model_error): the model service failed`: what was said of this run, else what its reason means. */
export function runEndText(run: Run): string {
  if (run.reason === null) return run.state;
  const said = run.message === null || run.message.trim() === '' ? sentences[run.reason] : run.message;
  return `${run.state} (${run.reason}): ${advice(said)}`;
}

/** On a line of its own below what was said; nothing where the run goes on, or simply came to its end. */
export async function printRunEnd(run: Run): Promise<void> {
  if (run.reason === null || run.reason === 'end_turn') return;
  const colour = run.state === 'completed' || run.state === 'canceled' ? 'yellow' : 'red';
  await stdout.write(`\n${stdout.style(colour, printable(runEndText(run)))}\n`);
}
