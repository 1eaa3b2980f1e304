import { eventDataSchema, type EventType } from '../../src/agents/event.ts';
import { type RunEndState, type RunReason, runReasons } from '../../src/agents/run.ts';
import { code, table } from './markdown.ts';
import { fieldTexts } from './schema-text.ts';
import { jsonSchema } from './shapes.ts';

/** When each event is recorded. */
const when = {
  'agent.created': 'The agent is stored.',
  'agent.status': 'What the agent is doing has changed: it follows from its runs and its sandbox.',
  'sandbox.status': 'Its sandbox has changed. `message` says why it stopped or failed.',
  'conversation.opened': 'A conversation was opened.',
  'conversation.configured': 'Somebody chose another model or mode: it holds from the next turn on.',
  'conversation.titled': 'A conversation without a title got one: the beginning of its first message.',
  'conversation.closed': 'A conversation was closed. What ran or waited in it is canceled.',
  'session.opened':
    'The harness has a session for the conversation, and lets one choose of these. `new` where there was one before: it has lost what was said.',
  'session.updated': 'The harness went over to another mode by itself. The conversation keeps it.',
  'message.added': 'A user said something. The event that ends what an agent says is `message.completed`.',
  'message.delta': 'The agent goes on speaking. Provisional; `offset` is where the piece begins, in UTF-16 code units.',
  'message.completed': 'The agent has said this, whole. It replaces the deltas, and is in the history from now on.',
  'message.discarded': 'The harness threw away what it had begun to say: forget the deltas.',
  'thought.delta': 'The agent thinks aloud. Never completed, and not in the history.',
  'tool.started': 'The agent uses a tool: a command, an edit, a search. `kind` is as in ACP.',
  'tool.updated':
    'More of a tool: `output` since the last update, or all of `content` anew. With `replacesOutput` the output begins anew with this one, and what was told of it before does not count.',
  'tool.completed':
    'The tool is over. `output` is the end of the output; with `replacesOutput` it is all of it, as in `tool.updated`.',
  'plan.updated': 'The agent has a plan, or a new state of it, whole.',
  'permission.requested': 'The agent asks. Answer with `permissions.respond` before `expiresAt`.',
  'permission.resolved': 'The question is over: answered, expired, or canceled with its run.',
  'usage.updated': "How full the model's context is, in tokens.",
  'workspace.restored':
    'Somebody put files back as they were before a run, or at a checkpoint: those in `paths`, or all where there are none. `undo` is how it was just before.',
  'quota.changed':
    'Of a quota that this agent uses, 80 % are used (`near`), or all of it (`spent`): of its user, its own, or that of a conversation.',
  'harness.other': 'Something that Caisson has no word for, as the harness sent it.',
  'harness.exited': 'The harness died or was ended. The next turn starts it again.',
  'egress.requested':
    'A program in the sandbox wants to connect to a host that somebody must allow. Connections wait; answer with `egress.decide` before `expiresAt`.',
  'egress.resolved': 'The question is over: for how long it was allowed, denied, expired, or settled by new rules.',
  'egress.blocked':
    'A connection was not let out, or was cut. Told once in ten minutes for each host and port, at most 20 times; `egress.log` has them all.',
  'port.opened': 'A program in the sandbox listens on a port. Told within about a second.',
  'port.closed':
    'Nothing listens on the port any more. A sandbox that stops closes all of its ports, without these events.',
  'run.queued': 'A message was accepted. `ahead` runs of the conversation come first.',
  'run.starting': 'It is its turn; the sandbox is brought up where needed.',
  'run.started': 'The harness has the prompt.',
  'run.cancel_requested': 'Somebody asked to stop it. The end follows.',
  'run.completed': 'The end: the turn is done.',
  'run.failed': 'The end: something went wrong.',
  'run.canceled': 'The end: it was stopped.',
  'run.timed_out': 'The end: it took too long.',
  'run.interrupted':
    'The end: its sandbox was lost in the middle. What it did is unknown; it is never repeated by itself. It closes what the run had open: a tool without `tool.completed` is over, a message without `message.completed` never was.',
  'run.rejected': 'The end: it never started.',
} as const satisfies Record<EventType, string>;

/** What each reason of a run's end means. */
const meaning = {
  end_turn: 'The agent said all that it had to say.',
  max_tokens: 'The model reached its longest answer.',
  max_turn_requests: 'The harness made as many model requests as it allows in a turn.',
  refusal: 'The model refused.',
  model_quota_exhausted:
    'A quota is spent: of the model service (429), or of Caisson ([models.md](models.md#budgets)); then `message` says which, unless Caisson was restarted meanwhile.',
  model_unauthorized: "The model service refused Caisson's key (401).",
  model_error: 'The model service failed, or its answer broke off, after the retries of the harness.',
  harness_start_failed: 'The harness did not start, or did not open a session.',
  harness_exited: 'The harness died in the turn. The next message starts it again.',
  harness_error: 'The harness answered with an error of its own, or lacks the model or the mode that was chosen.',
  session_lost: "The harness no longer has the conversation's session.",
  sandbox_start_failed: 'The sandbox did not come up. `message` says why and what to do.',
  sandbox_unreachable: 'The run could not be handed to the sandbox.',
  canceled_by_user: 'Somebody canceled it.',
  permission_rejected: 'A permission was refused, which ends a turn of Codex.',
  permission_expired: 'Nobody answered a permission request in time.',
  canceled_by_harness: 'The harness stopped by itself.',
  conversation_closed: 'Its conversation was closed while it waited.',
  run_timeout: 'Its time was up (`timeoutMs`, or `CAISSON_RUN_TIMEOUT`).',
  harness_idle: 'The harness was silent for `CAISSON_IDLE_TIMEOUT` while no tool ran and no permission was open.',
  sandbox_lost: 'The sandbox stopped while the run was under way.',
  access_revoked: 'Whoever sent it lost the agent, or every key, before its turn came.',
} as const satisfies Record<RunReason, string>;

export function eventsTable(): string {
  const rows = eventDataSchema.options.map((option) => {
    const { type } = option.shape;
    const fields = fieldTexts(jsonSchema(option, 'output'), ['type']);
    return [code(type.value), when[type.value], fields.map(code).join('<br>')];
  });
  return table(['type', 'when', 'fields'], rows);
}

export function reasonsTable(): string {
  const states: readonly RunEndState[] = ['completed', 'failed', 'canceled', 'timed_out', 'interrupted', 'rejected'];
  const rows = states.flatMap((state) =>
    runReasons[state].map((reason, index) => [index === 0 ? code(state) : '', code(reason), meaning[reason]]),
  );
  return table(['state', 'reason', 'what happened'], rows);
}
