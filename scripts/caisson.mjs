// The command line, from the source. Plain JavaScript, so that the cache of compiled code is there before the first file with types:
// where the cache has all of them, Node does not load what strips types, which took half of the time of a small command.
import module from 'node:module';

module.enableCompileCache();
await import('../src/cli/main.ts');
