interface LockOptions {
  /** What the holder does, e.g. `set-up`. */
  readonly work: string;
  readonly log: (line: string) => void;
  readonly remindMs?: number;
}

export declare function acquireLock(name: string, options: LockOptions): Promise<() => void>;
