import type { RequestError } from '@agentclientprotocol/sdk/unstable';
import * as z from 'zod';

/** What a harness answered instead of a result, by codes and not by prose where the harness allows it. */
export type Refusal = 'auth_required' | 'quota_exhausted' | 'session_lost' | 'model_error' | 'agent_crashed' | 'other';

const dataSchema = z.object({
  message: z.string().optional().catch(undefined),
  codexErrorInfo: z.unknown().optional(),
  sessionId: z.string().optional().catch(undefined),
});

const authRequired = -32_000;
const resourceNotFound = -32_002;
/** codex-acp: its `codex app-server` died; it starts another on the next prompt. */
const codexProcessDied = 1_001;

export function refusalOf(error: RequestError): Refusal {
  const data = dataSchema.safeParse(error.data).data;
  if (error.code === authRequired) return 'auth_required';
  if (error.code === codexProcessDied) return 'agent_crashed';
  if (data?.codexErrorInfo === 'usageLimitExceeded') return 'quota_exhausted';
  if (error.code === resourceNotFound && data?.sessionId !== undefined) return 'session_lost';
  if (isSessionLostText(requestErrorText(error))) return 'session_lost';
  return data?.codexErrorInfo === undefined ? 'other' : 'model_error';
}

/** Codex has no code for a session that it does not know, only these words. */
function isSessionLostText(text: string): boolean {
  return /no rollout found|session .*not found|thread not found|unknown session/i.test(text);
}

/** The most telling text of a refusal: Codex puts it in `data` and leaves "Internal error" as the message. */
export function requestErrorText(error: RequestError): string {
  const { data } = error;
  if (typeof data === 'string') return data;
  const parsed = z
    .object({ message: z.string() })
    .or(z.object({ details: z.string() }))
    .safeParse(data);
  if (!parsed.success) return error.message;
  return 'message' in parsed.data ? parsed.data.message : parsed.data.details;
}
