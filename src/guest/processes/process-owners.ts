import type { ProcessOwner } from '../../wire/contract/processes.ts';
import type { ProcEntry } from './proc.ts';

/** Who the processes of the sandbox belong to: the guest, its harness, what callers started, and terminals. */
export class ProcessOwners {
  readonly #owners = new Map<number, ProcessOwner>([
    [1, { kind: 'guest' }],
    [process.pid, { kind: 'guest' }],
  ]);
  readonly #harnessPid: () => number | undefined;

  constructor(harnessPid: () => number | undefined) {
    this.#harnessPid = harnessPid;
  }

  /** Until it is disposed, `pid`, its session and what descends from it belong to `owner`. */
  add(pid: number, owner: ProcessOwner): Disposable {
    this.#owners.set(pid, owner);
    return {
      [Symbol.dispose]: () => {
        if (this.#owners.get(pid) === owner) this.#owners.delete(pid);
      },
    };
  }

  /** Of each entry, by its session, its group, or its nearest ancestor that has one. */
  of(entries: readonly ProcEntry[]): (entry: ProcEntry) => ProcessOwner | null {
    const byPid = new Map(entries.map((entry) => [entry.pid, entry]));
    const known = new Map<number, ProcessOwner | null>();
    const find = (entry: ProcEntry): ProcessOwner | null => {
      const line: ProcEntry[] = [];
      let owner: ProcessOwner | null | undefined;
      for (let at: ProcEntry | undefined = entry; at !== undefined && owner === undefined; at = byPid.get(at.ppid)) {
        if (line.includes(at)) break;
        line.push(at);
        owner = known.get(at.pid) ?? this.#own(at);
      }
      // What the guest merely is above of (a wire's pipe, an orphan that init took) is nobody's in particular.
      const found = owner === undefined || (owner?.kind === 'guest' && this.#own(entry) === undefined) ? null : owner;
      known.set(entry.pid, found);
      return found;
    };
    return find;
  }

  #own({ pid, session, group }: ProcEntry): ProcessOwner | undefined {
    const harness = this.#harnessPid();
    if (harness !== undefined && (pid === harness || session === harness)) return { kind: 'harness' };
    return this.#owners.get(pid) ?? this.#besideGuest(session) ?? this.#besideGuest(group);
  }

  /** The guest may share its session with what it knows nothing of. */
  #besideGuest(leader: number): ProcessOwner | undefined {
    const owner = this.#owners.get(leader);
    return owner?.kind === 'guest' ? undefined : owner;
  }
}
