/** Milliseconds since `start`, a moment of `performance.now()`, to a tenth. */
export function since(start: number): number {
  return Math.round((performance.now() - start) * 10) / 10;
}
