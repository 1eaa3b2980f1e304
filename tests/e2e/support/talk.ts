import { expect } from 'vitest';
import type { AgentEvent, CaissonClient, Run } from '../../../src/client/index.ts';
import { LiveLog } from './live-log.ts';
import { expectSoundLog, isRunEnd, type RunEndEvent, textOf } from './sound-log.ts';

/** A run that is over, as its log and the API agree on it. */
export interface EndedRun {
  readonly run: Run;
  readonly events: readonly AgentEvent[];
  readonly end: RunEndEvent;
  /** What the agent said, message by message. */
  readonly said: readonly string[];
  /** What the commands printed. */
  readonly printed: string;
}

interface SayOptions {
  /** Default: the conversation of the talk. */
  readonly conversationId?: string;
  /** Of the run. */
  readonly timeoutMs?: number;
}

/** A new agent with a conversation, followed from its first event on. Disposing deletes the agent. */
export class Talk implements AsyncDisposable {
  readonly client: CaissonClient;
  readonly agentId: AgentEvent['agentId'];
  readonly conversationId: string;
  readonly log: LiveLog;

  private constructor(client: CaissonClient, agentId: AgentEvent['agentId'], conversationId: string) {
    this.client = client;
    this.agentId = agentId;
    this.conversationId = conversationId;
    this.log = new LiveLog(client, agentId);
  }

  /** With `wait` (the default) the agent's sandbox is running. */
  static async open(client: CaissonClient, name: string, { wait = true } = {}): Promise<Talk> {
    const agent = await client.agents.create.mutate({ name, wait });
    const conversation = await client.conversations.open.mutate({ agentId: agent.id });
    return new Talk(client, agent.id, conversation.id);
  }

  /** Opens a further conversation of the agent. */
  async openConversation(): Promise<string> {
    return (await this.client.conversations.open.mutate({ agentId: this.agentId })).id;
  }

  async start(message: string, { conversationId = this.conversationId, timeoutMs }: SayOptions = {}): Promise<string> {
    const limit = timeoutMs === undefined ? {} : { timeoutMs };
    return (await this.client.runs.start.mutate({ conversationId, message, ...limit })).runId;
  }

  async say(message: string, options: SayOptions = {}): Promise<EndedRun> {
    return await this.end(await this.start(message, options));
  }

  /** Waits for the end of the run, and checks it and the whole log of the agent. */
  async end(runId: string): Promise<EndedRun> {
    const outcome = await this.client.runs.wait.query({ runId, timeoutMs: 110_000 });
    expect(outcome.status, `the wait for ${runId}`).not.toBe('timeout');
    const { seq } = await this.client.agents.status.query({ agentId: this.agentId });
    await this.log.until(`event ${seq}`, (events) => events.length >= seq);
    expectSoundLog(this.log.events);
    const run = await this.client.runs.get.query({ runId });
    const events = this.log.of(runId);
    const end = await this.log.until(`the end of ${runId}`, () => events.find(isRunEnd));
    await this.#expectAgreement(run, events, end);
    return { run, events, end, said: saidIn(events), printed: printedIn(events) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.log[Symbol.asyncDispose]();
    await this.client.agents.delete.mutate({ agentId: this.agentId });
  }

  /** The run as the API tells it, its end in the log, and the messages that are kept say the same. */
  async #expectAgreement(run: Run, events: readonly AgentEvent[], end: RunEndEvent): Promise<void> {
    expect(`run.${run.state}`).toBe(end.type);
    expect({ reason: run.reason, message: run.message, endedAt: run.endedAt }).toEqual({
      reason: end.reason,
      message: end.message,
      endedAt: end.at,
    });
    expect(run.usage).toEqual(end.type === 'run.completed' ? end.usage : null);
    expect(run.startedAt).toBe(events.find(({ type }) => type === 'run.started')?.at ?? null);
    const { agentId, conversationId } = run;
    const { items } = await this.client.agents.history.query({ agentId, conversationId, limit: 200 });
    const kept = items.filter(({ runId }) => runId === run.id);
    expect(kept.filter(({ role }) => role === 'user').map(({ id }) => id)).toEqual([run.messageId]);
    expect(kept.filter(({ role }) => role === 'agent').map(({ content }) => textOf(content))).toEqual(saidIn(events));
  }
}

function saidIn(events: readonly AgentEvent[]): readonly string[] {
  return events.flatMap((event) => (event.type === 'message.completed' ? [textOf(event.content)] : []));
}

function printedIn(events: readonly AgentEvent[]): string {
  const outputs = new Map<string, string>();
  for (const event of events) {
    if (event.type !== 'tool.updated' && event.type !== 'tool.completed') continue;
    const before = event.replacesOutput === true ? '' : (outputs.get(event.toolCallId) ?? '');
    outputs.set(event.toolCallId, before + (event.output ?? ''));
  }
  return [...outputs.values()].join('');
}
