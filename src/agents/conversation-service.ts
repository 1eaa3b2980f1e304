import type { Clock } from '../kernel/clock.ts';
import { CaissonError } from '../kernel/errors.ts';
import { type AgentId, type ConversationId, newConversationId, type UserId } from '../kernel/ids.ts';
import type { Logger } from '../kernel/logger.ts';
import { recordingActivity } from './activity.ts';
import type { Agent, Conversation, Message } from './agent.ts';
import { defaultTitle } from './conversation-title.ts';
import type { EventLog } from './event-log.ts';
import type { AgentStore, Page, PageRequest, Sandboxes } from './ports.ts';
import { endRun } from './run-ending.ts';
import type { RunExecutor } from './run-executor.ts';
import { sessionSpec } from './session-spec.ts';

interface ConversationServiceDependencies {
  readonly store: AgentStore;
  readonly log: EventLog;
  readonly executor: RunExecutor;
  readonly sandboxes: Sandboxes;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface OpenRequest extends Choices {
  readonly agentId: AgentId;
  /** Default: the beginning of the first message, once there is one. */
  readonly title?: string | undefined;
}

/** Ids of the harness's; null stands for the agent's model, and for the harness's default mode. */
interface Choices {
  readonly model?: string | null | undefined;
  readonly mode?: string | null | undefined;
}

/** Talks with an agent. Each is opened explicitly, and outlives clients, restarts and sandboxes. */
export class ConversationService {
  readonly #dependencies: ConversationServiceDependencies;

  constructor(dependencies: ConversationServiceDependencies) {
    this.#dependencies = dependencies;
  }

  /** Errors: AGENT_NOT_FOUND, AGENT_DELETING. */
  async open(request: OpenRequest): Promise<Conversation> {
    const { log, clock, store } = this.#dependencies;
    const now = clock.now();
    const conversation: Conversation = {
      id: newConversationId(),
      agentId: request.agentId,
      title: request.title ?? defaultTitle,
      status: 'open',
      model: request.model ?? null,
      mode: request.mode ?? null,
      sessionId: null,
      createdAt: now,
      updatedAt: now,
    };
    await log.write(request.agentId, async (tx, record) => {
      const agent = await tx.findAgent(request.agentId);
      if (agent === undefined) throw new CaissonError('AGENT_NOT_FOUND', `There is no agent ${request.agentId}.`);
      if (agent.deleting) throw new CaissonError('AGENT_DELETING', `Agent ${agent.name} is being deleted.`);
      await tx.insertConversation(conversation);
      const { title, model, mode } = conversation;
      const data = { type: 'conversation.opened', title, model, mode } as const;
      record({ conversationId: conversation.id, runId: null, at: now, data });
    });
    const agent = await store.findAgent(request.agentId);
    if (agent !== undefined) this.#openSessionAhead(agent, conversation);
    return conversation;
  }

  async get(id: ConversationId): Promise<Conversation> {
    const conversation = await this.#dependencies.store.findConversation(id);
    if (conversation === undefined) throw conversationNotFound(id);
    return conversation;
  }

  async list(agentId: AgentId, page: PageRequest): Promise<Page<Conversation>> {
    return await this.#dependencies.store.listConversations(agentId, page);
  }

  async messages(agentId: AgentId, conversationId: ConversationId | null, page: PageRequest): Promise<Page<Message>> {
    return await this.#dependencies.store.listMessages(agentId, conversationId, page);
  }

  /**
   * Chooses the model and the mode from the next turn on; what is left out stays. Whether the harness has them shows when
   * that turn starts: it knows only then. Errors: CONVERSATION_NOT_FOUND, CONVERSATION_CLOSED.
   */
  async configure(id: ConversationId, choices: Choices): Promise<Conversation> {
    const { log, clock } = this.#dependencies;
    const { agentId } = await this.get(id);
    await log.write(agentId, async (tx, record) => {
      const conversation = await tx.findConversation(id);
      if (conversation === undefined) throw conversationNotFound(id);
      if (conversation.status === 'closed') {
        throw new CaissonError('CONVERSATION_CLOSED', `Conversation ${id} is closed.`);
      }
      const { model = conversation.model, mode = conversation.mode } = choices;
      if (model === conversation.model && mode === conversation.mode) return;
      await tx.setConversationChoices(id, { model, mode });
      const data = { type: 'conversation.configured', model, mode } as const;
      record({ conversationId: id, runId: null, at: clock.now(), data });
    });
    return await this.get(id);
  }

  /** Cancels what is queued or under way in it; what was said stays readable. Closing twice is no error. */
  async close(id: ConversationId, by: UserId): Promise<Conversation> {
    const { log, clock, executor } = this.#dependencies;
    const { agentId } = await this.get(id);
    const started = await log.write(agentId, async (tx, record) => {
      const conversation = await tx.findConversation(id);
      if (conversation === undefined || conversation.status === 'closed') return [];
      const now = clock.now();
      await tx.closeConversation(id);
      record({ conversationId: id, runId: null, at: now, data: { type: 'conversation.closed' } });
      return await recordingActivity({ tx, record, agentId, now }, async () => {
        const active = await tx.listActiveRuns({ conversationId: id });
        for (const run of active) {
          if (run.state === 'queued') {
            await endRun({ tx, record, at: now }, run, {
              state: 'canceled',
              reason: 'conversation_closed',
              message: null,
            });
          } else if (!run.cancelRequested) {
            await tx.requestRunCancel(run.id);
            record({ conversationId: id, runId: run.id, at: now, data: { type: 'run.cancel_requested', by } });
          }
        }
        return active.filter((run) => run.state !== 'queued');
      });
    });
    for (const run of started) executor.cancel(run.id);
    if (started.length === 0) this.#freeSession(agentId, id);
    return await this.get(id);
  }

  /** A run of it is over: where the conversation was closed meanwhile, the guest need not keep its session. Never rejects. */
  async runEnded({ agentId, id }: Pick<Conversation, 'agentId' | 'id'>): Promise<void> {
    const { store, logger } = this.#dependencies;
    try {
      const conversation = await store.findConversation(id);
      if (conversation?.status === 'closed') this.#freeSession(agentId, id);
    } catch (thrown) {
      logger.debug({ conversationId: id, err: thrown }, 'a session was not closed in the guest');
    }
  }

  /** Only frees memory in the guest, which ends its sessions by itself when it stops. */
  #freeSession(agentId: AgentId, id: ConversationId): void {
    const { sandboxes, logger } = this.#dependencies;
    sandboxes
      .currentGuest(agentId)
      ?.closeSession(id)
      .catch((error: unknown) => {
        logger.debug({ conversationId: id, err: error }, 'a session was not closed in the guest');
      });
  }

  /** Spares the first message the time that a harness takes to open a session. The first turn opens it in any case. */
  #openSessionAhead(agent: Agent, conversation: Conversation): void {
    const { sandboxes, logger } = this.#dependencies;
    const { id: conversationId } = conversation;
    sandboxes
      .currentGuest(agent.id)
      ?.openSession(sessionSpec(agent, conversation))
      .catch((error: unknown) => logger.debug({ conversationId, err: error }, 'a session was not opened ahead'));
  }
}

function conversationNotFound(id: ConversationId): CaissonError {
  return new CaissonError('CONVERSATION_NOT_FOUND', `There is no conversation ${id}.`);
}
