/** Milliseconds since `start`, a moment of `performance.now()`, to a hundredth. */
export function since(start: number): number {
  return Math.round((performance.now() - start) * 100) / 100;
}
