export declare function lockedInstall(options: {
  readonly directory: string;
  readonly title: string;
  readonly log: (line: string) => void;
  readonly flags?: readonly string[];
}): Promise<void>;
