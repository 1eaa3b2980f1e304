import type { Clock } from '../../kernel/clock.ts';
import { type ErrorCode, errorTable } from '../../kernel/error-table.ts';
import type { AuditCall, AuditOutcome } from './record.ts';

/** How long what is alike is counted before its number is recorded. */
const windowMs = 60_000;
/** Different ones of one caller, or of all who are not known, that are told apart in that time. */
const mostKinds = 32;
/** Callers that are told apart in that time. */
const mostCallers = 256;

interface TallyOptions {
  readonly clock: Pick<Clock, 'schedule'>;
  readonly record: (call: AuditCall, outcome: AuditOutcome, count: number) => void;
  readonly onFailure: (thrown: unknown) => void;
}

interface Kind {
  call: AuditCall;
  readonly outcome: AuditOutcome;
  /** Those that are not recorded yet. */
  more: number;
}

/** Errors by the caller's fault with which nothing was done, whom nothing keeps from trying again. */
export function isRefusal(code: ErrorCode): boolean {
  const { http } = errorTable[code];
  return code === 'BAD_REQUEST' || code === 'FORBIDDEN' || http === 404 || http === 429;
}

/**
 * Records refusals, and what else happens often, without filling the disk. The first of each kind (who, what, which agent, how it
 * ended, from where; of events also about what) is recorded; those like it are counted, and recorded as one with their number when
 * the minute is over. Of one caller, who is a key or for events an agent, 32 kinds are told apart in a minute; what is beyond that
 * is counted under the action `*`. So no caller, and not all unknown ones together, can make more than some 70 records in a
 * minute. A crash loses what was only counted.
 */
export class Tally {
  readonly #options: TallyOptions;
  #callers = new Map<string, Map<string, Kind>>();
  #cancel: (() => void) | undefined;

  constructor(options: TallyOptions) {
    this.#options = options;
  }

  note(call: AuditCall, outcome: AuditOutcome, { isEvent = false }: { readonly isEvent?: boolean } = {}): void {
    this.#cancel ??= this.#options.clock.schedule(windowMs, () => this.recordCounts());
    const known = call.keyId ?? (isEvent ? call.agentId : null) ?? '';
    const caller = this.#callers.has(known) || this.#callers.size < mostCallers ? known : '';
    const kinds = this.#callers.get(caller) ?? new Map<string, Kind>();
    this.#callers.set(caller, kinds);
    const about = isEvent ? [call.userId, call.targets, call.details] : [];
    const name = JSON.stringify([call.action, call.agentId, outcome, call.address, call.keyId, ...about]);
    const kind = kinds.get(name);
    if (kind !== undefined) {
      kind.more += 1;
      kind.call = call;
    } else if (kinds.size < mostKinds) {
      kinds.set(name, { call, outcome, more: this.#record(call, outcome, 1) ? 0 : 1 });
    } else this.#countOther(kinds, caller === '' ? nobody : call, outcome);
  }

  /** Records what was counted, and counts anew. */
  recordCounts(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const kinds = [...this.#callers.values()].flatMap((each) => [...each.values()]).filter(({ more }) => more > 0);
    this.#callers = new Map();
    for (const { call, outcome, more } of kinds) this.#record(call, outcome, more);
  }

  #record(call: AuditCall, outcome: AuditOutcome, count: number): boolean {
    try {
      this.#options.record(call, outcome, count);
      return true;
    } catch (thrown) {
      this.#options.onFailure(thrown);
      return false;
    }
  }

  #countOther(kinds: Map<string, Kind>, { userId, userName, keyId, agentId }: Who, outcome: AuditOutcome): void {
    const other = kinds.get(outcome);
    if (other !== undefined) {
      other.more += 1;
      return;
    }
    const call = {
      action: '*',
      userId,
      userName,
      keyId,
      agentId: keyId === null ? agentId : null,
      targets: [],
      details: {},
      address: null,
      requestId: null,
    };
    kinds.set(outcome, { call, outcome, more: 1 });
  }
}

type Who = Pick<AuditCall, 'userId' | 'userName' | 'keyId' | 'agentId'>;
const nobody: Who = { userId: null, userName: null, keyId: null, agentId: null };
