import { transform, version } from 'esbuild';

/** What `asCommonJs` depends on beside its own source: another bundler may write another text. */
export const bundlerVersion = version;

/** An ES module of one file as CommonJS, for images/sandbox/run.cjs. It does the same: in strict mode, and with its own address. */
export async function asCommonJs(source: string): Promise<string> {
  const { code } = await transform(source.replace(/^#!.*/, ''), {
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': 'moduleUrl' },
    banner: "'use strict'; const moduleUrl = require('node:url').pathToFileURL(__filename).href;",
    logLevel: 'error',
  });
  return code;
}
