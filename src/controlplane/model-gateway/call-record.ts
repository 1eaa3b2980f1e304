import type { ModelApi } from './apis/model-api.ts';
import type { Charge } from './call-meter.ts';
import type { ModelCaller } from './callers.ts';
import type { GatewayError } from './gateway-error.ts';

/** How a call ended: `answered` in full, whatever the status; every other one broke off. */
export type CallOutcome =
  | 'answered'
  | 'guest_left'
  | 'guest_stalled'
  | 'request_refused'
  | 'budget_spent'
  | 'upstream_unreachable'
  | 'upstream_timeout'
  | 'upstream_cut'
  | 'shut_down';

/** What is known of a call when it is over. */
export interface CallRecord {
  readonly outcome: CallOutcome;
  readonly api: ModelApi['name'];
  /** Null when the service did not answer. */
  readonly status: number | null;
  /** Null where the call did not come so far that it was known; so are the next three. */
  readonly caller: ModelCaller | null;
  readonly upstream: string | null;
  /** As the service was asked for it. */
  readonly model: string | null;
  /** Version of the price table, `default`, or `demo`. */
  readonly priceVersion: string | null;
  /** As the service names the model that answered. */
  readonly answeredBy: string | null;
  /** Null where the call took nothing. */
  readonly charge: Charge | null;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Until the answer began. Null where none did. */
  readonly firstByteMs: number | null;
  /**
   * Of that, what the gateway itself took: from when the request had named its model until the service was asked, and from the service's
   * answer until the guest's began. Waits for the guest and for the service are no part of it. Null for a list of models as well.
   */
  readonly overheadMs: number | null;
  readonly ms: number;
  /** The system's code of what went wrong, e.g. ECONNREFUSED. */
  readonly cause?: string;
}

/** Of a call that was refused before anything of it was read. */
export function refusedRecord(api: ModelApi, error: GatewayError): CallRecord {
  return {
    outcome: 'request_refused',
    api: api.name,
    status: null,
    caller: null,
    upstream: null,
    model: null,
    priceVersion: null,
    answeredBy: null,
    charge: null,
    requestBytes: 0,
    responseBytes: 0,
    firstByteMs: null,
    overheadMs: null,
    ms: 0,
    cause: error.kind,
  };
}
