export interface LaneLimits {
  /** Tasks that run at once, over all lanes. */
  readonly total: number;
  /** Of these, those of one owner. */
  readonly perOwner: number;
}

export interface Lane<Key, Owner> {
  readonly key: Key;
  /** Whose the lane is: the same in every submission. */
  readonly owner: Owner;
}

/**
 * What a task says that cannot go on yet. It gives up its place, keeps its lane, and is called again, in turn, when `until`
 * has resolved, which must not reject.
 */
export interface Parked {
  readonly until: Promise<void>;
}

type Task = () => Promise<Parked | void>;

/** What is kept of an owner while one of its lanes runs or waits. */
interface Share<Key> {
  running: number;
  /** Its lanes whose head waits for a place, in the order in which they began to wait. */
  readonly ready: Key[];
}

/**
 * Lanes run one task at a time each, in the order of submission. Places are given in turn to the owners that wait, and to
 * an owner's lanes in turn, and no owner holds more than its share of the places. A task that fails frees its lane like
 * any other. A lane without tasks, and an owner without lanes, cost nothing. What the lanes hold is bounded by those who
 * submit.
 */
export class Lanes<Key, Owner> {
  readonly #limits: LaneLimits;
  readonly #queues = new Map<Key, Task[]>();
  readonly #shares = new Map<Owner, Share<Key>>();
  /** Owners with a lane that waits and less than their share, in the order in which they get the next places. */
  readonly #turns = new Set<Owner>();
  #running = 0;

  constructor(limits: LaneLimits) {
    this.#limits = limits;
  }

  /** The task must handle its own errors. */
  submit(lane: Lane<Key, Owner>, task: Task): void {
    const queue = this.#queues.get(lane.key);
    if (queue !== undefined) {
      queue.push(task);
      return;
    }
    this.#queues.set(lane.key, [task]);
    this.#await(lane);
  }

  /** The head of the lane waits for a place. */
  #await({ key, owner }: Lane<Key, Owner>): void {
    this.#shareOf(owner).ready.push(key);
    this.#settle(owner);
    this.#pump();
  }

  #pump(): void {
    while (this.#running < this.#limits.total) {
      const [owner] = this.#turns;
      if (owner === undefined) return;
      this.#turns.delete(owner);
      const share = this.#shareOf(owner);
      const key = share.ready.shift();
      if (key === undefined) continue;
      this.#running++;
      share.running++;
      this.#settle(owner);
      void this.#runHead({ key, owner });
    }
  }

  async #runHead({ key, owner }: Lane<Key, Owner>): Promise<void> {
    const queue = this.#queues.get(key);
    let parked: Parked | void = undefined;
    try {
      parked = await queue?.[0]?.();
    } catch {
      // A task handles its own errors, as submit() says; a lane has to go on in any case.
    } finally {
      const share = this.#shareOf(owner);
      this.#running--;
      share.running--;
      if (parked === undefined) queue?.shift();
      if (parked !== undefined) void parked.until.then(() => this.#await({ key, owner }));
      else if (queue === undefined || queue.length === 0) this.#queues.delete(key);
      else share.ready.push(key);
      this.#settle(owner);
      this.#pump();
    }
  }

  #shareOf(owner: Owner): Share<Key> {
    const share = this.#shares.get(owner) ?? { running: 0, ready: [] };
    this.#shares.set(owner, share);
    return share;
  }

  /** Puts the owner at the end of the turns when it may have one and is not among them; forgets one that has nothing. */
  #settle(owner: Owner): void {
    const { running, ready } = this.#shareOf(owner);
    if (ready.length > 0 && running < this.#limits.perOwner) this.#turns.add(owner);
    else if (ready.length === 0 && running === 0) this.#shares.delete(owner);
  }
}
