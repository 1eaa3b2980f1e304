import { RequestError } from '@agentclientprotocol/sdk';
import type { Run } from '../../client/index.ts';
import { CaissonError } from '../../kernel/errors.ts';
import { runEndText } from '../turn/run-end-text.ts';
import { unknownId } from '../unknown-id.ts';

const internalError = -32_603;

/** An error of ours as ACP's. Editors show the message only, so the hint stands in it. */
export function requestError(thrown: unknown, sessionId?: string): RequestError {
  if (thrown instanceof RequestError) return thrown;
  if (!(thrown instanceof CaissonError)) return new RequestError(internalError, 'Something went wrong inside Caisson.');
  // An id that is not written like one of ours is, to an editor, one that no session has.
  const { code, message, hint, details } = unknownId(thrown) ?? thrown;
  if (code === 'CONVERSATION_NOT_FOUND' && sessionId !== undefined) return RequestError.sessionNotFound(sessionId);
  return new RequestError(internalError, `${message} ${hint}`.trim(), { code, hint, details });
}

/** How a run that neither completed nor was canceled is told: a failed turn must look failed. */
export function runError(run: Run): RequestError {
  return new RequestError(internalError, `The run ${runEndText(run)}`, {
    runId: run.id,
    state: run.state,
    reason: run.reason,
  });
}
