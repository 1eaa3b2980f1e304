import {
  methods,
  RequestError,
  type AgentContext,
  type ListSessionsRequest,
  type ListSessionsResponse,
  type NewSessionResponse,
  type PromptRequest,
  type PromptResponse,
  type SessionConfigOption,
} from '@agentclientprotocol/sdk';
import type { Agent, AgentSnapshot, CaissonClient, Conversation } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { isoTime } from '../output/relative-time.ts';
import { promptTurn } from './prompt-turn.ts';
import { requestError } from './request-errors.ts';
import { choiceOf, sessionConfig, type SessionConfig } from './session-config.ts';
import { conversationReplay } from './session-replay.ts';

interface EditorSessionsOptions {
  readonly client: CaissonClient;
  readonly agent: Agent;
}

/** ACP's sessions are our conversations, under the same id. */
export class EditorSessions {
  readonly #client: CaissonClient;
  readonly #agent: Agent;
  /** The turns under way, at most one a session. */
  readonly #turns = new Map<string, AbortController>();
  /** What there is to choose, as JSON, as it was last told of each session that the editor has taken up. */
  readonly #told = new Map<string, string>();

  constructor({ client, agent }: EditorSessionsOptions) {
    this.#client = client;
    this.#agent = agent;
  }

  /** The conversation gets its title from the first prompt. */
  async open(): Promise<NewSessionResponse> {
    const agentId = this.#agent.id;
    try {
      const conversation = await this.#client.conversations.open.mutate({ agentId });
      return { sessionId: conversation.id, ...(await this.#configOf(conversation)) };
    } catch (thrown) {
      throw requestError(thrown);
    }
  }

  /** Takes a session up without telling what was said. */
  async resume(sessionId: string): Promise<SessionConfig> {
    try {
      const conversation = await this.#client.conversations.get.query({ conversationId: sessionId });
      if (conversation.agentId !== this.#agent.id)
        throw new CaissonError('CONVERSATION_NOT_FOUND', "It is another agent's.");
      if (conversation.status === 'closed')
        throw new CaissonError('CONVERSATION_CLOSED', 'The conversation is closed.');
      return await this.#configOf(conversation);
    } catch (thrown) {
      throw requestError(thrown, sessionId);
    }
  }

  /** Takes a session up and tells what was said and done in it, the oldest first. */
  async load(sessionId: string, editor: AgentContext): Promise<SessionConfig> {
    const config = await this.resume(sessionId);
    const updates = await conversationReplay(this.#client, {
      agentId: this.#agent.id,
      conversationId: sessionId,
    }).catch((thrown: unknown) => {
      throw requestError(thrown, sessionId);
    });
    for (const update of updates) {
      await editor.notify(methods.client.session.update, { sessionId, update });
    }
    return config;
  }

  /** Chooses a mode or a model from the next turn on, and answers with all that there is to choose. */
  async configure(sessionId: string, configId: string, value: unknown): Promise<SessionConfigOption[]> {
    try {
      const choice = choiceOf(await this.#offer(), configId, value);
      const conversation = await this.#client.conversations.configure.mutate({ conversationId: sessionId, ...choice });
      return (await this.#configOf(conversation)).configOptions ?? [];
    } catch (thrown) {
      throw requestError(thrown, sessionId);
    }
  }

  async list({ cwd, cursor }: ListSessionsRequest): Promise<ListSessionsResponse> {
    const request = { agentId: this.#agent.id, cursor: cursor ?? null };
    const { items, nextCursor } = await this.#client.conversations.list.query(request).catch((thrown: unknown) => {
      throw requestError(thrown);
    });
    const open = items.filter(({ status }) => status === 'open');
    return {
      // A conversation belongs to no directory of the editor's machine, so it is one of whichever is asked for.
      sessions: open.map(({ id, title, updatedAt }) => ({
        sessionId: id,
        cwd: cwd ?? '/workspace',
        title,
        updatedAt: isoTime(updatedAt) ?? null,
      })),
      ...(nextCursor === null ? {} : { nextCursor }),
    };
  }

  async prompt(request: PromptRequest, editor: AgentContext, signal: AbortSignal): Promise<PromptResponse> {
    const { sessionId } = request;
    const cancel = new AbortController();
    this.#turns.get(sessionId)?.abort(); // an editor that asks again has given the former up
    this.#turns.set(sessionId, cancel);
    signal.addEventListener('abort', () => {
      if (isCancellation(signal.reason)) cancel.abort();
    });
    const tellChoices = async (): Promise<void> => await this.#tellChoices(sessionId, editor);
    try {
      return await promptTurn({
        client: this.#client,
        editor,
        agentId: this.#agent.id,
        request,
        signal: cancel.signal,
        tellChoices,
      });
    } finally {
      if (this.#turns.get(sessionId) === cancel) this.#turns.delete(sessionId);
    }
  }

  cancel(sessionId: string): void {
    this.#turns.get(sessionId)?.abort();
  }

  async #offer(): Promise<AgentSnapshot['offer']> {
    return (await this.#client.agents.status.query({ agentId: this.#agent.id })).offer;
  }

  async #configOf(conversation: Conversation): Promise<SessionConfig> {
    const config = sessionConfig(await this.#offer(), conversation);
    this.#told.set(conversation.id, JSON.stringify(config));
    return config;
  }

  /** Tells the editor what there is to choose, where that is not what it was told last. */
  async #tellChoices(sessionId: string, editor: AgentContext): Promise<void> {
    const before = this.#told.get(sessionId);
    const conversation = await this.#client.conversations.get.query({ conversationId: sessionId });
    const { configOptions } = await this.#configOf(conversation);
    if (configOptions === undefined || this.#told.get(sessionId) === before) return;
    const update = { sessionUpdate: 'config_option_update', configOptions } as const;
    await editor.notify(methods.client.session.update, { sessionId, update });
  }
}

/** Whether the editor took its request back. When it only went away, the turn goes on. */
function isCancellation(reason: unknown): boolean {
  return reason instanceof RequestError && reason.code === RequestError.requestCancelled().code;
}
