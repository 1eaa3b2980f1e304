/** A failure that the person at the keyboard can act on: its message is shown alone, without a stack. */
export declare class ExpectedError extends Error {
  readonly expected: true;
}
