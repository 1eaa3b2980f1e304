import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const controlPlane = fileURLToPath(new URL('../../src/controlplane/index.ts', import.meta.url));

/** `process.moduleLoadList` of a Node that has loaded `module`. */
async function builtinsLoadedWith(module: string): Promise<readonly string[]> {
  const script = `await import(${JSON.stringify(module)}); console.log(JSON.stringify(process.moduleLoadList))`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  return JSON.parse(stdout);
}

// What to do when it is loaded: `src/kernel/node-http.ts`.
test('a control plane that nobody has called has not loaded the fetch client of Node', async () => {
  expect(await builtinsLoadedWith(controlPlane)).not.toContain('NativeModule internal/deps/undici/undici');
  expect(await builtinsLoadedWith('node:http')).toContain('NativeModule internal/deps/undici/undici'); // and this finds it
});
