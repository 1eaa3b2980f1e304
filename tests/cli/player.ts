import type { HarnessEvent } from '../../src/wire/contract/harness-event.ts';
import type { TurnOutcome } from '../../src/wire/contract/turn.ts';
import { type AgentId, type ConversationId, newMessageId, newPermissionId, type RunId } from '../../src/kernel/ids.ts';
import type { ScriptedGuest } from '../agents/domain-fixture.ts';
import type { RunningServer } from '../controlplane/running-server.ts';
import { until } from '../until.ts';

/** A turn that the test plays as the harness of an agent would. */
export class PlayedTurn {
  readonly runId: RunId;
  readonly conversationId: ConversationId;
  /** What the user said. */
  readonly text: string;
  readonly #guest: ScriptedGuest;

  constructor(guest: ScriptedGuest, runId: RunId) {
    const request = guest.turns.get(runId);
    if (request === undefined) throw new Error(`the guest was not asked to do ${runId}`);
    this.#guest = guest;
    this.runId = runId;
    this.conversationId = request.session.conversationId;
    this.text = request.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
  }

  async begin(): Promise<void> {
    const { runId, conversationId } = this;
    await this.#guest.say({ type: 'turn.started', runId, conversationId });
  }

  async event(event: HarnessEvent): Promise<void> {
    const { runId, conversationId } = this;
    await this.#guest.say({ type: 'event', conversationId, runId, event });
  }

  /** A message, word by word and then whole. */
  async speak(text: string): Promise<void> {
    const messageId = newMessageId();
    let offset = 0;
    for (const delta of text.match(/\S+\s*/g) ?? []) {
      await this.event({ type: 'message.delta', messageId, delta, offset });
      offset += delta.length;
    }
    await this.event({ type: 'message.completed', messageId, content: [{ type: 'text', text }] });
  }

  async runCommand(command: string, output: string, exitCode = 0): Promise<void> {
    const toolCallId = `call-${command}`;
    await this.event({ type: 'tool.started', toolCallId, title: command, kind: 'execute', locations: [], content: [] });
    await this.event({ type: 'tool.updated', toolCallId, output });
    const status = exitCode === 0 ? 'completed' : 'failed';
    await this.event({ type: 'tool.completed', toolCallId, status, exitCode, content: [] });
  }

  /** Asks for permission and waits for the answer, which it records. Returns the option, or null. */
  async ask(title: string): Promise<string | null> {
    const permissionId = newPermissionId();
    const before = this.#guest.answers.length;
    await this.event({
      type: 'permission.requested',
      permissionId,
      toolCallId: `call-${title}`,
      title,
      kind: 'execute',
      input: { command: title, cwd: '/workspace' },
      content: [],
      options: [
        { optionId: 'yes', name: 'Yes, proceed', kind: 'allow_once' },
        { optionId: 'no', name: 'No, stop', kind: 'reject_once' },
      ],
      expiresAt: Date.now() + 60_000,
    });
    const { optionId } = await until('an answer', () => this.#guest.answers[before]);
    const outcome = optionId === 'yes' ? 'allowed' : 'rejected';
    await this.event({ type: 'permission.resolved', permissionId, outcome, optionId, resolvedBy: null });
    return optionId;
  }

  async canceled(): Promise<void> {
    await until('a cancel', () => this.#guest.canceled.includes(this.runId));
  }

  async end(outcome: TurnOutcome = { state: 'completed', reason: 'end_turn', usage: null }): Promise<void> {
    const { runId, conversationId } = this;
    await this.#guest.say({ type: 'turn.ended', runId, conversationId, outcome });
  }
}

/** Plays the next turn of the agent that nobody has played. Resolves when the script is over. */
export async function playNextTurn(
  server: RunningServer,
  agentId: AgentId,
  script: (turn: PlayedTurn) => Promise<void>,
): Promise<PlayedTurn> {
  const guest = await until('a guest', () => server.sandboxes.currentGuest(agentId));
  const played = playedRuns.get(guest) ?? new Set<RunId>();
  playedRuns.set(guest, played);
  const runId = await until('a turn', () => [...guest.turns.keys()].find((id) => !played.has(id)));
  played.add(runId);
  const turn = new PlayedTurn(guest, runId);
  await turn.begin();
  await script(turn);
  return turn;
}

const playedRuns = new WeakMap<ScriptedGuest, Set<RunId>>();
