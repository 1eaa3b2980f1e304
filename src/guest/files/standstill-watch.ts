import { readFileSync } from 'node:fs';

const periodMs = 5_000;
/** One after the other. */
const idlePeriods = 2;
/** Hundredths of a second of one period: a tenth of a processor. Threads of ripgrep that wait for each other take a third of that. */
const idleTicks = 50;

interface Sample {
  /** All that it has read and written, as the kernel tells it. */
  readonly transfers: string;
  /** The processor time that it has used, in hundredths of a second. */
  readonly ticks: number;
}

/**
 * Tells once a process has neither read nor written for 10 s, nor used a tenth of a processor: it waits for something, such as
 * the other end of a pipe. Where the kernel does not tell of it, nothing is told here. Disposing it ends the watch.
 */
export class StandstillWatch implements Disposable {
  readonly #pid: number | undefined;
  readonly #timer: NodeJS.Timeout;
  #before: Sample | undefined;
  #idlePeriods = 0;
  #isHeld = false;

  constructor(pid: number | undefined, tell: () => void) {
    this.#pid = pid;
    this.#timer = setInterval(() => {
      if (this.#standsStill()) tell();
    }, periodMs);
  }

  /** Until `go` the process waits for us, if it waits. */
  hold(): void {
    this.#isHeld = true;
  }

  go(): void {
    this.#isHeld = false;
    this.#before = undefined;
  }

  #standsStill(): boolean {
    const before = this.#before;
    const now = this.#pid === undefined ? undefined : sample(this.#pid);
    this.#before = now;
    const isIdle =
      !this.#isHeld &&
      before !== undefined &&
      now?.transfers === before.transfers &&
      now.ticks - before.ticks < idleTicks;
    this.#idlePeriods = isIdle ? this.#idlePeriods + 1 : 0;
    return this.#idlePeriods >= idlePeriods;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function sample(pid: number): Sample | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [user, system] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13);
    return { transfers: readFileSync(`/proc/${pid}/io`, 'utf8'), ticks: Number(user) + Number(system) };
  } catch {
    return undefined; // it has ended, or this kernel does not tell
  }
}
