#!/usr/bin/env node
import module from 'node:module';

const major = Number(process.versions.node.split('.', 1)[0]);
if (major < 24) {
  process.stderr.write(
    `error: Caisson needs Node 24 or later; this is ${process.versions.node}.\nhint: Install it, or put the one that a clone of the repository has first: export PATH="<clone>/node_modules/.bin:$PATH"\n`,
  );
  process.exit(1);
}

module.enableCompileCache();
// Imported only now, so that the cache serves it and everything behind it.
const { runCommandLine } = await import('./command-line.ts');
process.exitCode = await runCommandLine(process.argv.slice(2));
// A WebSocket that closes waits for its other end for ever, and a control plane that stands still never answers.
setTimeout(() => process.exit(), 3_000).unref();
