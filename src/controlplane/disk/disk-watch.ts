import type { AgentStore } from '../../agents/ports.ts';
import type { Clock } from '../../kernel/clock.ts';
import { orAbort } from '../../kernel/deadline.ts';
import { toCaissonError } from '../../kernel/errors.ts';
import type { AgentId } from '../../kernel/ids.ts';
import type { Logger } from '../../kernel/logger.ts';
import { pause } from '../../kernel/pause.ts';
import { SerialQueue } from '../../kernel/serial-queue.ts';
import type { DiskUse, SandboxProvider } from '../../sandbox-providers/contract/index.ts';
import { NowAndThen } from '../fleet/now-and-then.ts';
import type { DiskBook, DiskChange } from './disk-book.ts';
import { crossingsOf, type DiskCrossing, stopReason } from './disk-crossings.ts';

const lookEveryMs = 1_000;
/** Between two measurements of one agent, at the least, and in multiples of what the last one took. */
const spacing = { leastMs: 2_000, times: 5 } as const;
/** The same while nobody seems to write. The disk as a whole may hide it: somebody else makes room there at the same time. */
const quiet = { leastMs: 10_000, times: 10 } as const;
/** Before one that somebody waits for. */
const askedTimes = 4;
/** Between any two measurements, in multiples of what the last one took. */
const restTimes = 2;
/** An engine can be gone for hours: one line in this time warns of it. */
const warnEveryMs = 60_000;
/** Between two looks at which agents are gone. */
const forgetEveryMs = 5_000;
/** So much less on the disk as a whole is a sign that somebody writes. */
const noticeableBytes = 8 * 1024 ** 2;

interface DiskWatchOptions {
  readonly book: DiskBook;
  readonly provider: Pick<SandboxProvider, 'measureDisk' | 'diskSpace'>;
  readonly agents: Pick<AgentStore, 'listAgentsUp' | 'listAgentIds'>;
  /** Ends what runs in a sandbox, at once. */
  readonly stop: (agentId: AgentId, reason: string) => Promise<void>;
  /** Tells the log of an agent. */
  readonly tell: (agentId: AgentId, crossing: DiskCrossing) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The last measurement of an agent, on the clock that does not jump. */
interface Measured {
  readonly endedAt: number;
  readonly tookMs: number;
  /** On the disk as a whole, when it began; undefined where that cannot be told. */
  readonly freeBytes: number | undefined;
  readonly grew: boolean;
}

/** A sandbox that has just come up is measured when somebody has had the time to write, and not beside its start. */
function justUp(now: number): Measured {
  return { endedAt: now, tookMs: 0, freeBytes: undefined, grew: true };
}

/**
 * Measures what sandboxes take of the disk, one at a time, and acts on it: tells what is nearly full, full, and free again, and
 * stops what writes on beyond the grace. How often depends on what it costs, and on whether somebody seems to write: then an
 * agent is measured every 2 s, or five times as rarely as it takes; else every 10 s, or ten times as rarely. A sandbox that stops
 * is measured once more.
 */
export class DiskWatch implements AsyncDisposable {
  readonly #options: DiskWatchOptions;
  readonly #queue = new SerialQueue();
  /** One for each agent that was measured, and is up or was so at the last look. */
  readonly #measured = new Map<AgentId, Measured>();
  /** Measurements that somebody waits for, and that have not begun. */
  readonly #asked = new Map<AgentId, Promise<void>>();
  readonly #closing = new AbortController();
  readonly #warnings: NowAndThen;
  /** Agents that were never measured, and whose sandbox does not run. */
  readonly #unknown = new Set<AgentId>();
  readonly #forgets: NowAndThen;
  #up: ReadonlySet<AgentId> = new Set();
  #cancel: () => void = () => undefined;
  #round: Promise<void> = Promise.resolve();

  constructor(options: DiskWatchOptions) {
    this.#options = options;
    this.#warnings = new NowAndThen(options.clock, warnEveryMs);
    this.#forgets = new NowAndThen(options.clock, forgetEveryMs);
    options.book.measureBy((agentId) => this.measureNow(agentId));
    this.#round = this.#begin();
  }

  /** Resolves when a measurement that began after the call is over. Joined by others meanwhile. Never rejects. */
  measureNow(agentId: AgentId): Promise<void> {
    const asked =
      this.#asked.get(agentId) ??
      this.#measureSoon(agentId).catch((thrown: unknown) => {
        this.#options.logger.debug({ agentId, err: thrown }, 'a disk is not measured any more');
      });
    this.#asked.set(agentId, asked);
    return asked;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the control plane closes'));
    this.#cancel();
    await this.#round;
    await Promise.all(this.#asked.values());
  }

  async #begin(): Promise<void> {
    const { agents, book, logger } = this.#options;
    try {
      for (const { id } of await agents.listAgentIds()) if (!book.isKnown(id)) this.#unknown.add(id);
    } catch (thrown) {
      logger.warn({ err: thrown }, 'agents whose disk is not known could not be found');
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#closing.signal.aborted) return;
    this.#cancel = this.#options.clock.schedule(lookEveryMs, () => {
      this.#round = this.#look().finally(() => this.#schedule());
    });
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { agents, book, logger } = this.#options;
    try {
      for (const change of await book.judgeAnew()) await this.#act(change);
      if (this.#forgets.isDue()) await book.forgetOthers(await agents.listAgentIds());
      const up = new Set((await agents.listAgentsUp(null)).map(({ id }) => id));
      const ended = [...this.#up].filter((id) => !up.has(id));
      for (const id of up) if (!this.#up.has(id)) this.#measured.set(id, justUp(this.#options.clock.elapsed()));
      this.#up = up;
      for (const id of ended) {
        await this.#measureRested(id, await this.#freeBytes());
        this.#measured.delete(id);
      }
      const done = new Set<AgentId>();
      for (let next = await this.#mostUrgent(done); next !== undefined; next = await this.#mostUrgent(done)) {
        done.add(next.agentId);
        await this.#measureRested(next.agentId, next.freeBytes);
      }
      const [unknown] = this.#unknown;
      if (unknown === undefined || this.#closing.signal.aborted) return;
      this.#unknown.delete(unknown);
      if (!book.isKnown(unknown)) await this.#measureRested(unknown, undefined);
    } catch (thrown) {
      if (!this.#closing.signal.aborted) logger.warn({ err: thrown }, 'the disks of sandboxes could not be looked at');
    }
  }

  /** Who has grown comes first, then who was measured longest ago. */
  async #mostUrgent(
    done: ReadonlySet<AgentId>,
  ): Promise<{ readonly agentId: AgentId; readonly freeBytes: number | undefined } | undefined> {
    if (this.#closing.signal.aborted) return undefined;
    const freeBytes = await this.#freeBytes();
    const due = [...this.#up].filter((id) => !done.has(id) && this.#isDue(id, freeBytes));
    const urgency = (id: AgentId): number => {
      const { grew = true, endedAt = 0 } = this.#measured.get(id) ?? {};
      return grew ? endedAt - Number.MAX_SAFE_INTEGER / 2 : endedAt;
    };
    const [agentId] = due.toSorted((one, other) => urgency(one) - urgency(other));
    return agentId === undefined ? undefined : { agentId, freeBytes };
  }

  #isDue(agentId: AgentId, freeBytes: number | undefined): boolean {
    const last = this.#measured.get(agentId);
    if (last === undefined) return true;
    const sinceMs = this.#options.clock.elapsed() - last.endedAt;
    if (sinceMs >= Math.max(quiet.leastMs, quiet.times * last.tookMs)) return true;
    if (sinceMs < Math.max(spacing.leastMs, spacing.times * last.tookMs)) return false;
    const isWritten = (last.freeBytes ?? 0) - (freeBytes ?? 0) > noticeableBytes;
    return isWritten || last.grew || this.#options.book.isSpent(agentId);
  }

  async #freeBytes(): Promise<number | undefined> {
    try {
      return (await orAbort(this.#options.provider.diskSpace(), this.#closing.signal))?.freeBytes;
    } catch {
      return undefined; // the engine does not answer: who measures hears of it
    }
  }

  async #measureSoon(agentId: AgentId): Promise<void> {
    const { clock } = this.#options;
    try {
      const { endedAt = -Infinity, tookMs = 0 } = this.#measured.get(agentId) ?? {};
      const restMs = endedAt + askedTimes * tookMs - clock.elapsed();
      if (restMs > 0) await pause(clock, restMs, this.#closing.signal);
      await this.#queue.run(async () => {
        this.#asked.delete(agentId);
        await this.#measure(agentId, await this.#freeBytes());
      });
    } finally {
      this.#asked.delete(agentId);
    }
  }

  async #measureRested(agentId: AgentId, freeBytes: number | undefined): Promise<void> {
    const { clock } = this.#options;
    const tookMs = await this.#queue.run(async () => await this.#measure(agentId, freeBytes));
    await pause(clock, restTimes * tookMs, this.#closing.signal);
  }

  /** Never rejects; how long it took, in milliseconds. */
  async #measure(agentId: AgentId, freeBytes: number | undefined): Promise<number> {
    const { book, clock, logger } = this.#options;
    const beganAt = clock.elapsed();
    let grew = false;
    try {
      const use = await this.#use(agentId);
      const change = await book.note(agentId, use);
      grew = (change?.grewBytes ?? 0) > noticeableBytes / 8;
      if (change !== undefined) await this.#act(change);
    } catch (thrown) {
      if (!this.#closing.signal.aborted) {
        const level = this.#warnings.isDue() ? 'warn' : 'debug';
        logger[level]({ agentId, code: toCaissonError(thrown).code, err: thrown }, 'a disk could not be measured');
      }
    }
    const endedAt = clock.elapsed();
    this.#measured.set(agentId, { endedAt, tookMs: endedAt - beganAt, freeBytes, grew });
    return endedAt - beganAt;
  }

  /** Null where there are too many files for it. */
  async #use(agentId: AgentId): Promise<DiskUse | null> {
    try {
      const { signal } = this.#closing;
      return await orAbort(this.#options.provider.measureDisk(agentId, signal), signal); // an engine may be held up for minutes
    } catch (thrown) {
      const { code } = toCaissonError(thrown);
      if (code !== 'DEADLINE_EXCEEDED' && code !== 'LIMIT_REACHED') throw thrown;
      this.#options.logger.warn({ agentId, err: thrown }, 'a disk could not be measured in time; it counts as full');
      return null;
    }
  }

  async #act(change: DiskChange): Promise<void> {
    const { stop, tell, logger } = this.#options;
    const { agentId } = change;
    for (const crossing of crossingsOf(change)) await tell(agentId, crossing);
    const reason = this.#up.has(agentId) ? stopReason(change) : undefined;
    if (reason === undefined) return;
    const { usedBytes, limitBytes } = change;
    logger.info({ agentId, usedBytes, limitBytes }, 'a sandbox that writes beyond its disk is stopped');
    await orAbort(stop(agentId, reason), this.#closing.signal); // the stop itself is the fleet's
  }
}
