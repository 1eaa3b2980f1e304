import type { Clock } from '../../kernel/clock.ts';
import { type ErrorCode, errorTable } from '../../kernel/error-table.ts';
import type { AuditCall } from './record.ts';

/** How long refusals that are alike are counted before their number is recorded. */
const windowMs = 60_000;
/** Different refusals of one key, or of all who are not known, that are told apart in that time. */
const mostKinds = 32;
/** Keys that are told apart in that time. */
const mostCallers = 256;

interface RefusalsOptions {
  readonly clock: Pick<Clock, 'schedule'>;
  readonly record: (call: AuditCall, code: ErrorCode, count: number) => Promise<void>;
  readonly onFailure: (thrown: unknown) => void;
}

interface Kind {
  call: AuditCall;
  readonly code: ErrorCode;
  /** Those that are not recorded yet. */
  more: number;
}

type Who = Pick<AuditCall, 'userId' | 'userName' | 'keyId'>;
const nobody: Who = { userId: null, userName: null, keyId: null };

/** Errors by the caller's fault with which nothing was done, whom nothing keeps from trying again. */
export function isRefusal(code: ErrorCode): boolean {
  const { http } = errorTable[code];
  return code === 'BAD_REQUEST' || code === 'FORBIDDEN' || http === 404 || http === 429;
}

/**
 * Records refusals without filling the disk. The first of each kind (who, what, which agent, why, from where) is recorded at
 * once; those like it are counted, and recorded as one with their number when the minute is over. Of one caller 32 kinds are
 * told apart in a minute; what is beyond that is counted under the action `*`. So no caller, and not all unknown ones
 * together, can make more than some 70 records in a minute. A crash loses what was only counted.
 */
export class Refusals implements AsyncDisposable {
  readonly #options: RefusalsOptions;
  #callers = new Map<string, Map<string, Kind>>();
  #cancel: (() => void) | undefined;
  #tally: Promise<void> = Promise.resolve();

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  /** Resolves when it is recorded, or counted. */
  async note(call: AuditCall, code: ErrorCode): Promise<void> {
    this.#cancel ??= this.#options.clock.schedule(windowMs, () => void this.recordCounts());
    const known = call.keyId ?? '';
    const caller = this.#callers.has(known) || this.#callers.size < mostCallers ? known : '';
    const kinds = this.#callers.get(caller) ?? new Map<string, Kind>();
    this.#callers.set(caller, kinds);
    const name = JSON.stringify([call.action, call.agentId, code, call.address, call.keyId]);
    const kind = kinds.get(name);
    if (kind !== undefined) {
      kind.more += 1;
      kind.call = call;
    } else if (kinds.size < mostKinds) {
      kinds.set(name, { call, code, more: 0 });
      await this.#options.record(call, code, 1);
    } else this.#countOther(kinds, caller === '' ? nobody : call, code);
  }

  /** Records what was counted, and counts anew. */
  recordCounts(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    const kinds = [...this.#callers.values()].flatMap((each) => [...each.values()]).filter(({ more }) => more > 0);
    this.#callers = new Map();
    this.#tally = this.#tally.then(async () => {
      for (const { call, code, more } of kinds) {
        await this.#options.record(call, code, more).catch(this.#options.onFailure);
      }
    });
    return this.#tally;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.recordCounts();
  }

  #countOther(kinds: Map<string, Kind>, { userId, userName, keyId }: Who, code: ErrorCode): void {
    const other = kinds.get(code);
    if (other !== undefined) {
      other.more += 1;
      return;
    }
    const nothing = { agentId: null, targets: [], details: {}, address: null, requestId: null };
    kinds.set(code, { call: { action: '*', userId, userName, keyId, ...nothing }, code, more: 1 });
  }
}
