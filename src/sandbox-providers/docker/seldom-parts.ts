import { createRequire, Module } from 'node:module';

/**
 * What dockerode loads at once and hardly anybody uses: gRPC for builds with BuildKit, and SSH for engines behind `ssh://`. They
 * are 8 MB of an idle control plane's memory; so each is loaded by whoever calls it first.
 */
const dockerode = createRequire(createRequire(import.meta.url).resolve('dockerode'));
const modem = createRequire(dockerode.resolve('docker-modem'));

comeWhenCalled(dockerode, './session');
comeWhenCalled(modem, './ssh');

/** For a CommonJS module that exports one function. */
function comeWhenCalled(require: NodeJS.Require, name: string): void {
  const path = require.resolve(name);
  if (require.cache[path] !== undefined) return;
  const stand = new Module(path);
  stand.exports = (...args: readonly unknown[]): unknown => {
    if (require.cache[path] === stand) delete require.cache[path];
    const load: unknown = require(path);
    if (typeof load !== 'function') throw new TypeError(`${path} exports no function.`);
    return Reflect.apply(load, undefined, args);
  };
  stand.loaded = true;
  require.cache[path] = stand;
}
