import { RequestError } from '@agentclientprotocol/sdk/unstable';
import type { SessionSpec } from '../wire/contract/turn.ts';
import type { ConversationSession } from './conversation-session.ts';
import type { HarnessProcess } from './harness-process.ts';
import { refusalOf, requestErrorText } from './request-errors.ts';
import {
  changeRequest,
  choicesAfterAnswer,
  offers,
  withCurrent,
  type ChoiceKind,
  type SessionChoice,
} from './session-choices.ts';

/** The harness does not have what was chosen, or refuses it. */
export class ChoiceError extends Error {}

/** Most ids that a refusal lists. */
const mostListed = 50;

/**
 * Gives the session the model and the mode that are wanted, where it has others. Both are looked for before either is set.
 * A session for which none is chosen gets back what it had at first. Says `lost` when the harness no longer offers the
 * model that it was started with, which only opening the session again brings back.
 *
 * @throws ChoiceError, which lists what there is; or what the harness answered.
 */
export async function choose(
  process: HarnessProcess,
  session: ConversationSession,
  spec: SessionSpec,
  launchModel: string | null,
): Promise<'chosen' | 'lost'> {
  const model = wantedModel(session, spec, launchModel);
  if (spec.model !== launchModel) check(session, 'model', spec.model);
  check(session, 'mode', spec.mode);
  if (!hasOrOffers(session, 'model', model)) return 'lost';
  await change(process, session, 'model', model);
  await change(process, session, 'mode', spec.mode ?? session.unchosen.mode);
  return 'chosen';
}

/** The next turns of the conversation fail alike. */
const wayOut = 'Set another with `conversations.configure`, or open a new conversation.';

/** A harness may name the model that it was started with in a way of its own, or leave it out of its list. */
function wantedModel(session: ConversationSession, { model }: SessionSpec, launchModel: string | null): string | null {
  if (model !== null && model !== launchModel) return model;
  if (launchModel !== null && offers(session.choices.model, launchModel)) return launchModel;
  return session.unchosen.model;
}

function check(session: ConversationSession, kind: ChoiceKind, id: string | null): void {
  const choice = session.choices[kind];
  if (id !== null && choice?.barred?.ids.includes(id) === true) {
    throw new ChoiceError(
      `The ${kind} "${id}" does not work in a sandbox: ${choice.barred.reason}. There are: ${listed(choice)}. ${wayOut}`,
    );
  }
  if (id === null || hasOrOffers(session, kind, id)) return;
  const there = choice === null ? `it lets nobody choose a ${kind}` : `it has ${listed(choice)}`;
  throw new ChoiceError(`The harness has no ${kind} "${id}": ${there}. ${wayOut}`);
}

function hasOrOffers(session: ConversationSession, kind: ChoiceKind, id: string | null): boolean {
  const choice = session.choices[kind];
  return id === null || choice?.current === id || offers(choice, id);
}

async function change(
  process: HarnessProcess,
  session: ConversationSession,
  kind: ChoiceKind,
  id: string | null,
): Promise<void> {
  const before = session.choices;
  const choice = before[kind];
  if (choice === null || id === null || choice.current === id || !offers(choice, id)) return;
  const { method, params } = changeRequest(kind, choice, id);
  // Known before it is asked for, so that the harness's echo is not taken for a change of its own.
  session.choices = withCurrent(before, kind, id);
  try {
    const answer = await process.agent.request<unknown, object>(method, { sessionId: session.sessionId, ...params });
    session.choices = choicesAfterAnswer(session.choices, answer);
  } catch (error) {
    session.choices = withCurrent(session.choices, kind, choice.current);
    if (!(error instanceof RequestError) || refusalOf(error) !== 'other') throw error;
    throw new ChoiceError(`The harness refused the ${kind} "${id}": ${requestErrorText(error)}`, { cause: error });
  }
}

function listed({ offered }: SessionChoice): string {
  const ids = offered.slice(0, mostListed).map(({ id }) => id);
  const more = offered.length - ids.length;
  return more > 0 ? `${ids.join(', ')} and ${more} more` : ids.join(', ');
}
