// The command line, from the source. Plain JavaScript, so that the cache of compiled code is there before the first file with types:
// where the cache has all of them, Node does not load what strips types, which took half of the time of a small command.
import module from 'node:module';
import { resolve } from 'node:path';

module.enableCompileCache();
// npm runs this in the repository's root: what a person types is meant from where they stand. Not so the data directory, which is
// the one that `npm start` takes: relative to the root, whether CAISSON_DATA_DIR names it or not.
const { CAISSON_DATA_DIR, INIT_CWD, npm_lifecycle_event: script } = process.env;
if (script === 'caisson' && INIT_CWD) {
  process.env.CAISSON_DATA_DIR = resolve(CAISSON_DATA_DIR || '.caisson');
  process.chdir(INIT_CWD);
}
await import('../src/cli/main.ts');
