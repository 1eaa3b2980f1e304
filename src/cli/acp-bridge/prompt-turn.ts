import {
  methods,
  RequestError,
  type AgentContext,
  type PromptRequest,
  type PromptResponse,
  type RequestPermissionRequest,
  type ToolCallUpdate,
} from '@agentclientprotocol/sdk';
import type { AgentEvent, CaissonClient, Run } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { stderr } from '../output/sink.ts';
import { runEndText } from '../turn/run-end-text.ts';
import { promptText } from './prompt-text.ts';
import { requestError, runError } from './request-errors.ts';
import { noteChunk, SessionUpdates, toolContent, toolKind } from './session-updates.ts';

interface PromptTurnOptions {
  readonly client: CaissonClient;
  readonly editor: AgentContext;
  readonly agentId: string;
  readonly request: PromptRequest;
  /** Cancels the turn. */
  readonly signal: AbortSignal;
  /** Tells the editor what there is to choose now, if it does not know. */
  readonly tellChoices: () => Promise<void>;
}

/** One prompt of an editor: a run, whose events become updates and whose questions are put to the editor. */
export async function promptTurn(options: PromptTurnOptions): Promise<PromptResponse> {
  const { client, editor, agentId, request, signal } = options;
  const { sessionId } = request;
  const updates = new SessionUpdates();
  const questions = new EditorQuestions(client, editor, sessionId);
  const onEvent = async (event: AgentEvent): Promise<void> => {
    for (const update of updates.of(event)) await editor.notify(methods.client.session.update, { sessionId, update });
    questions.take(event);
    if (choiceEvents.has(event.type)) await options.tellChoices();
  };
  try {
    await options.tellChoices();
    const text = promptText(request.prompt);
    const { run } = await client.send({ agentId, conversationId: sessionId, text, onEvent, signal });
    if (run.state === 'canceled' && run.reason !== 'canceled_by_user') {
      await editor.notify(methods.client.session.update, { sessionId, update: noteChunk(runEndText(run)) });
    }
    return { stopReason: stopReasonOf(run) };
  } catch (thrown) {
    throw requestError(thrown, sessionId);
  } finally {
    questions.close();
  }
}

const choiceEvents: ReadonlySet<string> = new Set<AgentEvent['type']>([
  'session.opened',
  'session.updated',
  'conversation.configured',
]);

function stopReasonOf(run: Run): PromptResponse['stopReason'] {
  if (run.state === 'completed') return run.reason;
  if (run.state === 'canceled') return 'cancelled';
  throw runError(run);
}

type Requested = Extract<AgentEvent, { type: 'permission.requested' }>;

/** Permission requests as the editor's own. One that is answered elsewhere, or expires, is taken back from the editor. */
class EditorQuestions {
  readonly #client: CaissonClient;
  readonly #editor: AgentContext;
  readonly #sessionId: string;
  readonly #open = new Map<string, AbortController>();

  constructor(client: CaissonClient, editor: AgentContext, sessionId: string) {
    this.#client = client;
    this.#editor = editor;
    this.#sessionId = sessionId;
  }

  take(event: AgentEvent): void {
    if (event.type === 'permission.resolved') this.#open.get(event.permissionId)?.abort();
    if (event.type !== 'permission.requested') return;
    const controller = new AbortController();
    this.#open.set(event.permissionId, controller);
    this.#ask(event, controller.signal)
      .catch((thrown: unknown) => report(thrown))
      .finally(() => this.#open.delete(event.permissionId));
  }

  close(): void {
    for (const controller of this.#open.values()) controller.abort();
  }

  async #ask(event: Requested, signal: AbortSignal): Promise<void> {
    const { permissionId, options } = event;
    const optionId = await this.#optionOf(event, signal);
    if (optionId === undefined) return;
    const isOffered = optionId === null || options.some((option) => option.optionId === optionId);
    await this.#client.permissions.respond.mutate({ permissionId, optionId: isOffered ? optionId : null });
  }

  /** Null: the editor canceled. Undefined: the question is over. */
  async #optionOf(event: Requested, signal: AbortSignal): Promise<string | null | undefined> {
    const toolCall: ToolCallUpdate = {
      toolCallId: event.toolCallId,
      title: event.title,
      kind: toolKind(event.kind),
      status: 'pending',
      content: event.content.flatMap(toolContent),
      ...(event.input === undefined ? {} : { rawInput: event.input }),
    };
    try {
      const request: RequestPermissionRequest = { sessionId: this.#sessionId, toolCall, options: event.options };
      const { outcome } = await this.#editor.request(methods.client.session.requestPermission, request, {
        cancellationSignal: signal,
      });
      if (signal.aborted) return undefined;
      return outcome.outcome === 'selected' ? outcome.optionId : null;
    } catch (thrown) {
      if (signal.aborted) return undefined;
      throw thrown;
    }
  }
}

/** What goes wrong with a question does not end the turn: the request stays open for others until it expires. */
function report(thrown: unknown): void {
  const known = thrown instanceof CaissonError || thrown instanceof RequestError;
  void stderr.write(`permission request: ${known ? thrown.message : 'the editor is gone'}\n`);
}
