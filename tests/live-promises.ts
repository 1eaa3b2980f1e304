import { queryObjects } from 'node:v8';

/** How many promises are held by something, after garbage was collected. */
export function livePromises(): number {
  return queryObjects(Promise, { format: 'count' });
}
