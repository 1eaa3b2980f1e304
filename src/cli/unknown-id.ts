import type { ErrorCode } from '../kernel/error-table.ts';
import { CaissonError } from '../kernel/errors.ts';

/** By the field of the API that holds the id: what it is the id of, and what is said where there is none. */
const fields: Readonly<Record<string, readonly [noun: string, code: ErrorCode]>> = {
  agentId: ['agent', 'AGENT_NOT_FOUND'],
  conversationId: ['conversation', 'CONVERSATION_NOT_FOUND'],
  runId: ['run', 'RUN_NOT_FOUND'],
  permissionId: ['permission request', 'PERMISSION_NOT_FOUND'],
  requestId: ['egress request', 'EGRESS_REQUEST_NOT_FOUND'],
  keyId: ['API key', 'KEY_NOT_FOUND'],
  userId: ['user', 'USER_NOT_FOUND'],
  processId: ['process', 'PROCESS_NOT_FOUND'],
  terminalId: ['terminal', 'TERMINAL_NOT_FOUND'],
  checkpointId: ['checkpoint', 'CHECKPOINT_NOT_FOUND'],
};

/**
 * What a person at the command line takes for an id, and the API refuses since it is not written like one, is to them an id
 * that nothing has. Undefined for every other error.
 */
export function unknownId({ code, details }: CaissonError): CaissonError | undefined {
  const [issue] = code === 'BAD_REQUEST' && Array.isArray(details['issues']) ? (details['issues'] as unknown[]) : [];
  if (typeof issue !== 'object' || issue === null || !('path' in issue) || typeof issue.path !== 'string') return;
  const field = issue.path.slice(issue.path.lastIndexOf('.') + 1);
  const [noun, notFound] = fields[field] ?? [];
  return notFound && new CaissonError(notFound, `No ${noun} has this id.`);
}
