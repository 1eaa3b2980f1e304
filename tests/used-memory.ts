import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
/** Collects the garbage of this process. What it frees of buffers is counted from the next time on. */
export const collectGarbage = runInNewContext('gc') as () => void;

/** The bytes that this process holds when its garbage is collected. */
export function usedMemory(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
