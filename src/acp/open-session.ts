import {
  methods,
  RequestError,
  type LoadSessionResponse,
  type NewSessionResponse,
  type ResumeSessionResponse,
  type SessionConfigOption,
} from '@agentclientprotocol/sdk/unstable';
import type { Clock } from '../kernel/clock.ts';
import { errorText } from '../kernel/errors.ts';
import type { Logger } from '../kernel/logger.ts';
import type { SessionSpec } from '../wire/contract/turn.ts';
import type { ConversationSession } from './conversation-session.ts';
import type { HarnessProcess } from './harness-process.ts';
import { refusalOf } from './request-errors.ts';

/** How long a harness may take to answer about a session before it is taken for dead and killed. */
const sessionTimeoutMs = 60_000;

type Opened = NewSessionResponse | LoadSessionResponse | ResumeSessionResponse;

export interface SessionOpener {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The model that the harness was started with. */
  readonly launchModel: string | null;
  /** Makes it the session's id and lets the session's updates find it. */
  route(sessionId: string, session: ConversationSession): void;
}

/**
 * Opens a conversation's session in a process: the one that it had, where the harness still knows it, else a new one.
 * Rejects with what the harness answered, or with the end of its connection.
 */
export async function openSession(
  process: HarnessProcess,
  session: ConversationSession,
  spec: SessionSpec,
  opener: SessionOpener,
): Promise<'new' | 'loaded' | 'resumed'> {
  const cancelTimeout = opener.clock.schedule(sessionTimeoutMs, () =>
    process.kill('it did not open a session in time'),
  );
  try {
    const known = session.sessionId ?? spec.sessionId;
    const reopened = known === null ? null : await reopen(process, session, known, spec, opener);
    if (reopened !== null) {
      await chooseModel(process, session, spec, reopened.response, opener);
      return reopened.how;
    }
    const response = await process.agent.request(methods.agent.session.new, { cwd: spec.cwd, mcpServers: [] });
    opener.route(response.sessionId, session);
    await setTitle(process, response.sessionId, spec.title, opener.logger);
    await chooseModel(process, session, spec, response, opener);
    return 'new';
  } finally {
    cancelTimeout();
  }
}

/** Null when the harness cannot reopen sessions, or has lost this one. */
async function reopen(
  process: HarnessProcess,
  session: ConversationSession,
  sessionId: string,
  { cwd }: SessionSpec,
  opener: SessionOpener,
): Promise<{ how: 'loaded' | 'resumed'; response: Opened } | null> {
  const { sessionCapabilities, loadSession } = process.capabilities;
  const canResume = sessionCapabilities?.resume != null;
  if (!canResume && loadSession !== true) return null;
  const request = { sessionId, cwd, mcpServers: [] };
  opener.route(sessionId, session);
  try {
    // Resuming is preferred: loading repeats the whole transcript first.
    if (canResume)
      return { how: 'resumed', response: await process.agent.request(methods.agent.session.resume, request) };
    session.isReplaying = true;
    return { how: 'loaded', response: await process.agent.request(methods.agent.session.load, request) };
  } catch (error) {
    if (!(error instanceof RequestError) || refusalOf(error) !== 'session_lost') throw error;
    opener.logger.warn({ conversationId: session.conversationId, sessionId }, 'the harness has lost the session');
    return null;
  } finally {
    session.isReplaying = false;
  }
}

/** Codex asks a model for a title after the first turn of a session that has none. */
async function setTitle(process: HarnessProcess, sessionId: string, title: string, logger: Logger): Promise<void> {
  if (process.capabilities.sessionCapabilities?.title == null || title === '') return;
  try {
    await process.agent.request(methods.agent.session.setTitle, { sessionId, title });
  } catch (error) {
    if (process.isEnding) throw error;
    logger.warn({ sessionId, error: errorText(error) }, 'the harness refused the title of a session');
  }
}

/** A model that the session does not list is left to the launch profile, which told it to the harness at its start. */
async function chooseModel(
  process: HarnessProcess,
  session: ConversationSession,
  { model }: SessionSpec,
  response: Opened,
  { launchModel, logger }: SessionOpener,
): Promise<void> {
  const option = response.configOptions?.find(({ category }) => category === 'model');
  if (model === null || session.sessionId === null || option?.currentValue === model) return;
  if (option !== undefined && lists(option, model)) {
    const change = { sessionId: session.sessionId, configId: option.id, value: model };
    await process.agent.request(methods.agent.session.setConfigOption, change);
  } else if (model !== launchModel) {
    logger.warn({ model, sessionId: session.sessionId }, 'the harness does not offer the model; its own choice stays');
  }
}

function lists(option: SessionConfigOption, value: string): boolean {
  if (option.type !== 'select') return false;
  return option.options.some((entry) =>
    'options' in entry ? entry.options.some((inner) => inner.value === value) : entry.value === value,
  );
}
