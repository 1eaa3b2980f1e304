/** What was found out about one thing. */
export interface Finding {
  readonly what: string;
  /** `note`: good to know, nothing needed. */
  readonly state: 'ok' | 'note' | 'missing';
  readonly says: string;
  /** What to do about it. */
  readonly remedy?: string;
}
