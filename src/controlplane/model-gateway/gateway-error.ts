import type { BudgetSpent } from './budget.ts';

interface ErrorRow {
  readonly status: number;
  readonly openai: { readonly type: string; readonly code: string };
  readonly anthropic: string;
  /** Whether the same request may succeed by itself in a moment; client libraries are told. */
  readonly retry: boolean;
}

/** What the gateway itself answers a harness, in the words of each vendor. */
const errorRows = {
  not_found: {
    status: 404,
    openai: { type: 'invalid_request_error', code: 'not_found' },
    anthropic: 'not_found_error',
    retry: false,
  },
  /** What OpenAI says of a model that does not exist or may not be used. Codex does not try it again. */
  model_not_found: {
    status: 404,
    openai: { type: 'invalid_request_error', code: 'model_not_found' },
    anthropic: 'not_found_error',
    retry: false,
  },
  invalid_headers: {
    status: 400,
    openai: { type: 'invalid_request_error', code: 'invalid_headers' },
    anthropic: 'invalid_request_error',
    retry: false,
  },
  invalid_body: {
    status: 400,
    openai: { type: 'invalid_request_error', code: 'invalid_body' },
    anthropic: 'invalid_request_error',
    retry: false,
  },
  request_too_large: {
    status: 413,
    openai: { type: 'invalid_request_error', code: 'request_too_large' },
    anthropic: 'request_too_large',
    retry: false,
  },
  too_many_calls: {
    status: 429,
    openai: { type: 'rate_limit_error', code: 'too_many_calls' },
    anthropic: 'rate_limit_error',
    retry: true,
  },
  /** Ends Codex's turn at once. */
  insufficient_quota: {
    status: 429,
    openai: { type: 'insufficient_quota', code: 'insufficient_quota' },
    anthropic: 'rate_limit_error',
    retry: false,
  },
  model_unreachable: {
    status: 502,
    openai: { type: 'server_error', code: 'model_unreachable' },
    anthropic: 'api_error',
    retry: true,
  },
  model_timeout: {
    status: 504,
    openai: { type: 'server_error', code: 'model_timeout' },
    anthropic: 'timeout_error',
    retry: true,
  },
  model_unavailable: {
    status: 503,
    openai: { type: 'server_error', code: 'model_unavailable' },
    anthropic: 'overloaded_error',
    retry: true,
  },
} as const satisfies Record<string, ErrorRow>;

export type GatewayErrorKind = keyof typeof errorRows;

/** Why the gateway does not pass a call on, or breaks one off. The message is for people, and says no secret. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly kind: GatewayErrorKind;
  /** Whole seconds; null where nobody can say. */
  readonly retryAfterS: number | null;

  constructor(kind: GatewayErrorKind, message: string, options: { readonly retryAfterS?: number | null } = {}) {
    super(message);
    this.kind = kind;
    this.retryAfterS = options.retryAfterS ?? null;
  }

  get status(): number {
    return errorRows[this.kind].status;
  }

  /** As HTTP headers besides the content's own. Vendors' client libraries heed `x-should-retry`. */
  get headers(): Record<string, string> {
    return {
      'x-should-retry': String(errorRows[this.kind].retry),
      ...(this.retryAfterS === null ? {} : { 'retry-after': String(this.retryAfterS) }),
    };
  }

  /** As the `error` of OpenAI's APIs. */
  get openai(): { message: string; type: string; code: string; param: null } {
    return { message: this.message, ...errorRows[this.kind].openai, param: null };
  }

  /** As the whole body, and the data of the event, of Anthropic's. */
  get anthropic(): object {
    return { type: 'error', error: { type: errorRows[this.kind].anthropic, message: this.message } };
  }
}

/** What a call is answered that has no room in its budget. */
export function quotaError(spent: BudgetSpent): GatewayError {
  const left = spent.resetsAt === null ? null : Math.max(1, Math.ceil((spent.resetsAt - Date.now()) / 1_000));
  return new GatewayError('insufficient_quota', spent.message, { retryAfterS: left });
}
