/** The one timer of a call: to arm it forgets what it was armed for before. */
export class CallTimer {
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  arm(ms: number, expired: () => void): void {
    clearTimeout(this.#timer);
    if (!this.#isStopped) this.#timer = setTimeout(expired, ms);
  }

  /** What it was armed for has its whole time again. */
  refresh(): void {
    this.#timer?.refresh();
  }

  /** For good. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
