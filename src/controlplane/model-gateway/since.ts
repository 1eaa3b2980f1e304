/** Milliseconds since `start`, a moment of `performance.now()`, to a hundredth. */
export function since(start: number): number {
  return hundredths(performance.now() - start);
}

export function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}
