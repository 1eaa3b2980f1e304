import { join } from 'node:path';

/**
 * How Node runs the control plane for `npm start`. Idle, it then takes about 112 MB, some 35 less: its youngest objects get 2 MiB instead
 * of up to 16, and its own sources, once their types are stripped, come from a cache, so that the stripper is not loaded. glibc's heaps, by default up to eight a core, are two: 2 MB less.
 * Young objects that are collected often take the buffers of a large transfer with them: 3 GB up and down added 51 to 54 MB at their peak, 61 to 87
 * with twice as much for them, and no more processor time (measured before `tuneGarbageCollection` had old objects wait; with it 15 to 31).
 */
export const startFlags = ['--max-semi-space-size=1'];
export const startEnvironment = (root) => ({
  NODE_COMPILE_CACHE: join(root, '.caisson/cache/code'),
  MALLOC_ARENA_MAX: '2',
});
