/** One line of the report: a figure of ours beside its floor or peer, measured in the same run. */
export interface Row {
  readonly what: string;
  readonly ours: string;
  /** What it stands on, or what does the same thing without us. */
  readonly floor: string;
  /** Ours against the floor. */
  readonly comparison: string;
  /** Empty where there is none: the line explains another one. */
  readonly target: string;
  /** Null where there is no target. */
  readonly met: boolean | null;
}

/** A line without a target, which explains others. */
export function context(row: Omit<Row, 'target' | 'met'>): Row {
  return { ...row, target: '', met: null };
}

export function ms(value: number): string {
  return `${value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0)} ms`;
}

export function difference(value: number): string {
  return `${value < 0 ? '−' : '+'}${ms(Math.abs(value))}`;
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
