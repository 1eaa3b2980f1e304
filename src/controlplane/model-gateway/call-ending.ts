import { errorText } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import type { ModelApi } from './apis/model-api.ts';
import type { CallAdmission } from './call-admission.ts';
import type { CallOutcome, CallRecord } from './call-record.ts';
import { settleCall } from './call-settlement.ts';
import type { GuestAnswer } from './guest-answer.ts';
import type { GuestBody } from './guest-body.ts';
import type { PassingAnswer } from './passing-answer.ts';
import { hundredths } from './since.ts';
import type { UnseenOutput } from './unseen-output.ts';
import type { UpstreamRequest } from './upstream-request.ts';

/** A call that is over. */
export interface EndedCall {
  readonly record: CallRecord;
  /** Resolves when it is settled with its budget. Never rejects. */
  readonly settled: Promise<void>;
}

interface EndingCall {
  readonly outcome: CallOutcome;
  readonly cause: string | undefined;
  readonly agentId: AgentId;
  readonly api: ModelApi;
  readonly admission: CallAdmission;
  readonly body: GuestBody;
  /** Undefined where the service was not asked. */
  readonly request: UpstreamRequest | undefined;
  readonly guest: GuestAnswer;
  /** Undefined where none passed. */
  readonly answer: PassingAnswer | undefined;
  readonly unseen: UnseenOutput;
  /** Milliseconds. */
  readonly ms: number;
  readonly logger: Logger;
}

/** Begins to settle a call, and tells what is known of it. */
export function endCall(call: EndingCall): EndedCall {
  const { outcome, cause, api, admission, body, guest, answer, ms } = call;
  const settled = settle(call); // so that its charge is known
  const { caller, route, price, meter } = admission;
  const record = {
    outcome,
    api: api.name,
    status: guest.status,
    caller: caller ?? null,
    upstream: route?.upstream.name ?? null,
    model: route?.model ?? null,
    priceVersion: price?.version ?? null,
    answeredBy: answer?.usage.model ?? null,
    charge: meter?.charge ?? null,
    requestBytes: body.bytes,
    responseBytes: answer?.bytes ?? guest.saidBytes,
    firstByteMs: guest.firstByteMs,
    overheadMs: overheadOf(call),
    ms,
    ...(cause === undefined ? {} : { cause }),
  };
  return { record, settled };
}

function overheadOf({ body, request, guest }: EndingCall): number | null {
  const times = [body.namedAt, request?.askedAt, request?.answeredAt, guest.begunAt];
  const [named, asked, answered, begun] = times;
  if (named == null || asked == null || answered == null || begun == null) return null;
  return hundredths(asked - named + (begun - answered));
}

/** Never rejects. */
async function settle(call: EndingCall): Promise<void> {
  const { outcome, agentId, admission, body, request, guest, answer, unseen, logger } = call;
  const { meter } = admission;
  if (meter === undefined) return;
  try {
    await settleCall(meter, {
      outcome,
      status: guest.status,
      isAsked: body.isWhole && request?.isConnected === true,
      usage: answer?.usage,
      responseBytes: answer?.bytes ?? 0,
      unseen: unseen.tokens,
    });
  } catch (thrown) {
    logger.error({ agentId, error: errorText(thrown) }, 'a model call could not be settled with its budget');
  }
}
