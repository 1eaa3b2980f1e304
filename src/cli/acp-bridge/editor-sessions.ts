import { basename } from 'node:path';
import {
  methods,
  RequestError,
  type AgentContext,
  type ListSessionsRequest,
  type ListSessionsResponse,
  type NewSessionRequest,
  type PromptRequest,
  type PromptResponse,
} from '@agentclientprotocol/sdk';
import type { Agent, CaissonClient, Message } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { promptTurn } from './prompt-turn.ts';
import { requestError } from './request-errors.ts';
import { replay } from './session-updates.ts';

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

  constructor({ client, agent }: EditorSessionsOptions) {
    this.#client = client;
    this.#agent = agent;
  }

  async open({ cwd }: NewSessionRequest): Promise<{ sessionId: string }> {
    const title = `Editor: ${basename(cwd) || cwd}`.replaceAll(/\p{Cc}/gu, ' ').slice(0, 100);
    const agentId = this.#agent.id;
    const { id } = await this.#client.conversations.open.mutate({ agentId, title }).catch((thrown: unknown) => {
      throw requestError(thrown);
    });
    return { sessionId: id };
  }

  /** Takes a session up without telling what was said. */
  async resume(sessionId: string): Promise<void> {
    try {
      const conversation = await this.#client.conversations.get.query({ conversationId: sessionId });
      if (conversation.agentId !== this.#agent.id)
        throw new CaissonError('CONVERSATION_NOT_FOUND', 'It is another agent’s.');
      if (conversation.status === 'closed')
        throw new CaissonError('CONVERSATION_CLOSED', 'The conversation is closed.');
    } catch (thrown) {
      throw requestError(thrown, sessionId);
    }
  }

  /** Takes a session up and tells what was said, the oldest first. */
  async load(sessionId: string, editor: AgentContext): Promise<void> {
    await this.resume(sessionId);
    for (const update of replay(await this.#messages(sessionId))) {
      await editor.notify(methods.client.session.update, { sessionId, update });
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
        updatedAt: new Date(updatedAt).toISOString(),
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
    try {
      return await promptTurn({
        client: this.#client,
        editor,
        agentId: this.#agent.id,
        request,
        signal: cancel.signal,
      });
    } finally {
      if (this.#turns.get(sessionId) === cancel) this.#turns.delete(sessionId);
    }
  }

  cancel(sessionId: string): void {
    this.#turns.get(sessionId)?.abort();
  }

  async #messages(conversationId: string): Promise<Message[]> {
    const pages: (readonly Message[])[] = [];
    let cursor: string | null = null;
    do {
      const request = { agentId: this.#agent.id, conversationId, limit: 200, cursor };
      const page: { items: readonly Message[]; nextCursor: string | null } =
        await this.#client.agents.history.query(request);
      pages.unshift(page.items);
      cursor = page.nextCursor;
    } while (cursor !== null && pages.length < mostPages);
    return pages.flat();
  }
}

/** Pages of 200 messages that a load tells: of a longer conversation the end. */
const mostPages = 50;

/** Whether the editor took its request back. When it only went away, the turn goes on. */
function isCancellation(reason: unknown): boolean {
  return reason instanceof RequestError && reason.code === RequestError.requestCancelled().code;
}
