import type { EgressEvent } from '../../../agents/agent-service.ts';
import type { Clock } from '../../../kernel/clock.ts';
import type { AgentId } from '../../../kernel/ids.ts';
import type { Logger } from '../../../kernel/logger.ts';
import { NowAndThen } from '../../fleet/now-and-then.ts';
import type { EgressLog, EgressRecord, OpenConnection } from '../ports.ts';
import { BlockedPlaces } from './blocked-places.ts';
import {
  type EgressLogEntry,
  type EgressLogStore,
  entryKey,
  hourMs,
  type OpenEntries,
  together,
  withoutPlace,
} from './egress-log.ts';

interface DecisionLogOptions {
  readonly store: Pick<EgressLogStore, 'addToLog'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Puts an event into the agent's log. */
  readonly record: (agentId: AgentId, event: EgressEvent) => Promise<void>;
}

/** How often what has gathered is stored. */
const intervalMs = 1_000;
/** A disk that is full is full for long. */
const warnEveryMs = 60_000;
/** Entries of one agent that gather between two times; further places are one together. */
const mostOfAgent = 200;
/** In all; what has no room even so is lost, and told in the log of the process. */
const mostGathered = 20_000;

/**
 * Adds up the connections that are over, and stores the sums once a second: a program that connects a thousand times is one
 * entry. What is open is noted as often where something has moved, for the case of a `kill -9`, which takes with it what was
 * not there a second before. What was blocked is an event as well, within `BlockedPlaces`.
 */
export class DecisionLog implements EgressLog, AsyncDisposable {
  readonly #options: DecisionLogOptions;
  readonly #blocked: BlockedPlaces;
  readonly #warnings: NowAndThen;
  #gathered = new Map<string, EgressLogEntry>();
  #counts = new Map<AgentId, number>();
  /** As many as the gateway lets in. */
  readonly #open = new Set<OpenConnection>();
  /** Of each agent with open connections, the note that is stored. */
  readonly #noted = new Map<AgentId, string>();
  #cancel: (() => void) | undefined;
  #storing: Promise<void> | undefined;
  #lost = 0;

  constructor(options: DecisionLogOptions) {
    this.#options = options;
    this.#blocked = new BlockedPlaces(options.clock);
    this.#warnings = new NowAndThen(options.clock, warnEveryMs);
  }

  follow(connection: OpenConnection): void {
    this.#open.add(connection);
    this.#wait();
  }

  record(record: EgressRecord): void {
    this.#gather(entryOf(record));
    this.#wait();
    const { agentId, host, port, outcome, reason } = record;
    if (outcome !== 'denied' && outcome !== 'refused' && outcome !== 'revoked' && outcome !== 'over_quota') return;
    if (!this.#blocked.isNews(agentId, host, port)) return;
    this.#options
      .record(agentId, { type: 'egress.blocked', host, port, outcome, message: reason })
      .catch((err: unknown) => {
        this.#options.logger.warn({ agentId, err }, 'an event of egress could not be recorded');
      });
  }

  /** Stores what has gathered. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#storing;
    await this.#store();
    this.#cancel?.();
    this.#blocked[Symbol.dispose]();
  }

  #gather(entry: EgressLogEntry): void {
    const count = this.#counts.get(entry.agentId) ?? 0;
    const isNew = !this.#gathered.has(entryKey(entry));
    const kept = isNew && count >= mostOfAgent ? withoutPlace(entry) : entry;
    const key = entryKey(kept);
    const before = this.#gathered.get(key);
    if (before === undefined && this.#gathered.size >= mostGathered) {
      this.#lost += kept.connections;
      return;
    }
    if (before === undefined) this.#counts.set(entry.agentId, count + 1);
    this.#gathered.set(key, before === undefined ? kept : together(before, kept));
  }

  #wait(): void {
    this.#cancel ??= this.#options.clock.schedule(intervalMs, () => void this.#store());
  }

  /** Of agents whose note is another than the one that is stored. */
  #openNow(): OpenEntries {
    const open = new Map<AgentId, Map<string, EgressLogEntry>>();
    for (const agentId of this.#noted.keys()) open.set(agentId, new Map());
    for (const connection of this.#open) {
      if (connection.isOver) this.#open.delete(connection);
      const record = connection.isOver ? undefined : connection.soFar();
      if (record === undefined) continue;
      const own = open.get(record.agentId) ?? new Map<string, EgressLogEntry>();
      open.set(record.agentId, own);
      const entry = entryOf(record);
      const kept = own.size >= mostOfAgent && !own.has(entryKey(entry)) ? withoutPlace(entry) : entry;
      const before = own.get(entryKey(kept));
      own.set(entryKey(kept), before === undefined ? kept : together(before, kept));
    }
    const changed = [...open].map(([agentId, entries]) => [agentId, [...entries.values()]] as const);
    return new Map(changed.filter(([agentId, entries]) => noteOf(entries) !== this.#noted.get(agentId)));
  }

  async #store(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#storing !== undefined) return; // looks again when it is done
    const entries = [...this.#gathered.values()];
    const open = this.#openNow();
    const lost = this.#lost;
    this.#gathered = new Map();
    this.#counts = new Map();
    this.#lost = 0;
    const { store, logger } = this.#options;
    if (lost > 0) logger.warn({ connections: lost }, 'there was no room for connections in the egress log');
    if (entries.length > 0 || open.size > 0) {
      this.#storing = store.addToLog(entries, open).then(
        () => this.#remember(open),
        (err: unknown) => {
          logger[this.#warnings.isDue() ? 'warn' : 'debug'](
            { err },
            'the egress log could not be stored; it is tried again',
          );
          for (const entry of entries) this.#gather(entry);
        },
      );
      await this.#storing;
      this.#storing = undefined;
    }
    if (this.#gathered.size > 0 || this.#open.size > 0) this.#wait();
  }

  #remember(open: OpenEntries): void {
    for (const [agentId, entries] of open) {
      if (entries.length === 0) this.#noted.delete(agentId);
      else this.#noted.set(agentId, noteOf(entries));
    }
  }
}

function noteOf(entries: readonly EgressLogEntry[]): string {
  return JSON.stringify(entries);
}

function entryOf({ startedAt, durationMs, secretId, ...record }: EgressRecord): EgressLogEntry {
  return {
    ...record,
    withSecret: secretId === null ? 0 : 1,
    hour: Math.floor(startedAt / hourMs) * hourMs,
    connections: 1,
    durationMs,
    firstAt: startedAt,
    lastAt: startedAt,
  };
}
