import {
  methods,
  RequestError,
  type LoadSessionResponse,
  type NewSessionResponse,
  type ResumeSessionResponse,
} from '@agentclientprotocol/sdk/unstable';
import { errorText } from '../kernel/errors.ts';
import type { Logger } from '../kernel/logger.ts';
import type { SessionSpec } from '../wire/contract/turn.ts';
import type { ConversationSession } from './conversation-session.ts';
import type { HarnessProcess } from './harness-process.ts';
import { refusalOf } from './request-errors.ts';
import { choicesOf, unchosenOf } from './session-choices.ts';

type Opened = NewSessionResponse | LoadSessionResponse | ResumeSessionResponse;

export interface SessionOpener {
  readonly logger: Logger;
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
  const known = session.sessionId ?? spec.sessionId;
  const reopened = known === null ? null : await reopen(process, session, known, spec, opener);
  if (reopened !== null) {
    session.choices = choicesOf(reopened.response);
    // What the harness opens it with now may be what was chosen before.
    session.unchosen = {
      mode: session.unchosen.mode ?? unchosenOf(session.choices.mode),
      model: session.unchosen.model ?? unchosenOf(session.choices.model),
    };
    return reopened.how;
  }
  const response = await process.agent.request(methods.agent.session.new, { cwd: spec.cwd, mcpServers: [] });
  opener.route(response.sessionId, session);
  session.choices = choicesOf(response);
  session.unchosen = { mode: unchosenOf(session.choices.mode), model: unchosenOf(session.choices.model) };
  await setTitle(process, response.sessionId, spec.title, opener.logger);
  return 'new';
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
