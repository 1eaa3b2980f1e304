import type { Clock } from '../../kernel/clock.ts';
import { type ErrorCode, errorTable } from '../../kernel/error-table.ts';
import { type AuditCall, type AuditOutcome, ofNobody } from './record.ts';

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
 * is counted by how it ended, refusals under the action `*`. So no caller, and not all unknown ones together, can make more than
 * some 70 records in a minute. A crash loses what was only counted.
 */
export class Tally {
  readonly #options: TallyOptions;
  #callers = new Map<string, Map<string, Kind>>();
  #cancel: (() => void) | undefined;

  constructor(options: TallyOptions) {
    this.#options = options;
  }

  /** Something that was refused. */
  refusal(call: AuditCall, outcome: AuditOutcome): void {
    const { action, agentId, address, keyId, userId, userName } = call;
    const caller = this.#callerOf(keyId ?? '');
    const who = caller === '' ? {} : { userId, userName, keyId };
    const name = [action, agentId, outcome, address, keyId];
    this.#note({ call, outcome, caller, name, other: { ...ofNobody, ...who, action: '*' } });
  }

  /** Something else. */
  event(call: AuditCall, outcome: AuditOutcome): void {
    const { action, agentId, address, keyId, userId, targets, details } = call;
    const caller = this.#callerOf(agentId ?? action);
    const about = caller === agentId ? { agentId } : {};
    const name = [action, agentId, outcome, address, keyId, userId, targets, details];
    this.#note({ call, outcome, caller, name, other: { ...ofNobody, ...about, action } });
  }

  /** Records what was counted, and counts anew. */
  recordCounts(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const kinds = [...this.#callers.values()].flatMap((each) => [...each.values()]).filter(({ more }) => more > 0);
    this.#callers = new Map();
    for (const { call, outcome, more } of kinds) this.#record(call, outcome, more);
  }

  /** Itself, or the one that stands for all beyond the bound. */
  #callerOf(name: string): string {
    return this.#callers.has(name) || this.#callers.size < mostCallers ? name : '';
  }

  /** `other`: what stands for all of the caller's beyond the bound. */
  #note({ call, outcome, caller, name, other }: Noted): void {
    this.#cancel ??= this.#options.clock.schedule(windowMs, () => this.recordCounts());
    const kinds = this.#callers.get(caller) ?? new Map<string, Kind>();
    this.#callers.set(caller, kinds);
    const key = JSON.stringify(name);
    const kind = kinds.get(key);
    if (kind !== undefined) {
      kind.more += 1;
      kind.call = call;
    } else if (kinds.size < mostKinds) {
      kinds.set(key, { call, outcome, more: this.#record(call, outcome, 1) ? 0 : 1 });
    } else {
      const rest = `${other.action} ${outcome}`;
      const more = (kinds.get(rest)?.more ?? 0) + 1;
      kinds.set(rest, { call: other, outcome, more });
    }
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
}

interface Noted {
  readonly call: AuditCall;
  readonly outcome: AuditOutcome;
  readonly caller: string;
  /** What makes it of one kind with others. */
  readonly name: readonly unknown[];
  readonly other: AuditCall;
}
