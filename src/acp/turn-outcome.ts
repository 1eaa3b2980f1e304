import { RequestError } from '@agentclientprotocol/sdk/unstable';
import * as z from 'zod';
import { CaissonError, errorText } from '../kernel/errors.ts';
import type { TurnOutcome, TurnUsage } from '../wire/contract/turn.ts';
import { ChoiceError } from './choose.ts';
import { HarnessGoneError, type HarnessExit } from './harness-process.ts';
import { refusalOf, requestErrorText } from './request-errors.ts';

/** Why a permission that was not given ended the turn. */
export type PermissionEnd = 'permission_rejected' | 'permission_expired';

/** What is known of a turn beside the answer to its prompt. */
export interface TurnEvidence {
  /** `SessionProjection.failure`. */
  readonly failure: string | null;
  readonly permissionEnd: PermissionEnd | null;
}

const count = z
  .int()
  .nullish()
  .transform((value) => value ?? 0);
const responseSchema = z.object({
  stopReason: z.enum(['end_turn', 'max_tokens', 'max_turn_requests', 'refusal', 'cancelled']),
  usage: z
    .object({
      inputTokens: count,
      cachedReadTokens: count,
      outputTokens: count,
      thoughtTokens: count,
      totalTokens: count,
    })
    .nullish()
    .catch(null),
});

/**
 * The outcome of a prompt that was answered. Codex answers `end_turn` to most model errors, so a failure that the harness
 * reported in the turn counts for more than its stop reason.
 */
export function outcomeOfResponse(response: unknown, { failure, permissionEnd }: TurnEvidence): TurnOutcome {
  const parsed = responseSchema.safeParse(response);
  if (!parsed.success) {
    return {
      state: 'failed',
      reason: 'harness_error',
      message: 'The harness ended the turn in a way that ACP does not have.',
    };
  }
  const { stopReason, usage } = parsed.data;
  if (stopReason === 'cancelled') return canceledOutcome(permissionEnd ?? 'canceled_by_harness');
  if (failure !== null) return { state: 'failed', reason: 'model_error', message: modelErrorText(failure) };
  return { state: 'completed', reason: stopReason, usage: usage == null ? null : turnUsage(usage) };
}

/** The outcome of a prompt that the harness refused or broke off. */
export function outcomeOfError(error: unknown, { failure }: TurnEvidence): TurnOutcome {
  if (!(error instanceof RequestError)) {
    return { state: 'failed', reason: 'harness_error', message: `The harness broke off: ${errorText(error)}` };
  }
  const text = modelErrorText(requestErrorText(error));
  switch (refusalOf(error)) {
    case 'auth_required':
      return { state: 'failed', reason: 'model_unauthorized', message: 'The model service refused the credentials.' };
    case 'quota_exhausted':
      return { state: 'failed', reason: 'model_quota_exhausted', message: text };
    case 'session_lost':
      return { state: 'failed', reason: 'session_lost', message: `The harness lost the session: ${text}` };
    case 'agent_crashed':
      return {
        state: 'failed',
        reason: 'harness_exited',
        message: `The coding agent died: ${firstLine(text)}`,
      };
    case 'model_error':
      return { state: 'failed', reason: 'model_error', message: modelErrorText(failure ?? text) };
    case 'other':
      if (failure !== null) return { state: 'failed', reason: 'model_error', message: modelErrorText(failure) };
      return { state: 'failed', reason: 'harness_error', message: `The harness refused: ${text}` };
  }
}

export function exitedOutcome({ exitCode, signal }: HarnessExit): TurnOutcome {
  const how = signal === null ? `exited with code ${exitCode}` : `was ended by ${signal}`;
  const message = `The harness ${exitCode === null && signal === null ? 'was stopped' : how} during the turn.`;
  return { state: 'failed', reason: 'harness_exited', message };
}

/** The outcome of a turn whose session could not be opened. */
export function outcomeOfOpening(error: unknown): TurnOutcome {
  if (error instanceof HarnessGoneError) return exitedOutcome(error.exit);
  if (error instanceof ChoiceError) return { state: 'failed', reason: 'harness_error', message: error.message };
  if (error instanceof CaissonError) return { state: 'failed', reason: 'harness_start_failed', message: error.message };
  return outcomeOfError(error, { failure: null, permissionEnd: null });
}

const cancelMessages = {
  canceled_by_user: 'The turn was canceled.',
  permission_rejected: 'A permission was refused, which ends the turn.',
  permission_expired: 'Nobody answered a permission request in time, which ends the turn.',
  canceled_by_harness: 'The harness canceled the turn.',
} as const satisfies Record<Extract<TurnOutcome, { state: 'canceled' }>['reason'], string>;

export function canceledOutcome(reason: keyof typeof cancelMessages): TurnOutcome {
  return { state: 'canceled', reason, message: cancelMessages[reason] };
}

/** ACP counts cached and other input apart; `inputTokens` is the input that was not cached. */
function turnUsage(usage: NonNullable<z.infer<typeof responseSchema>['usage']>): TurnUsage {
  return {
    inputTokens: usage.inputTokens,
    cachedInputTokens: usage.cachedReadTokens,
    outputTokens: usage.outputTokens,
    reasoningTokens: usage.thoughtTokens,
    totalTokens: usage.totalTokens,
  };
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}

const longestText = 4_000;
const serviceError = z.object({ error: z.object({ message: z.string() }) });

/** Codex names the address that it asked: the guest's own, which tells nobody anything. */
const ownAddress = /, url: http:\/\/127\.0\.0\.1:\d+[^\s,]*/g;

/** The text of a model error. A service's JSON body is reduced to its message. */
function modelErrorText(text: string): string {
  const trimmed = text.replaceAll(ownAddress, '').trim();
  if (trimmed === '') return 'The model service failed; the harness does not say why.';
  return (trimmed.startsWith('{') ? messageOfJson(trimmed) : trimmed).slice(0, longestText);
}

function messageOfJson(text: string): string {
  try {
    return serviceError.parse(JSON.parse(text)).error.message;
  } catch {
    return text; // not the shape of a service's error: the text itself is the best there is
  }
}
