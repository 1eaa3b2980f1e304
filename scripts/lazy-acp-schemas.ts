import { readFile } from 'node:fs/promises';
import type { Plugin } from 'esbuild';

/**
 * The ACP SDK makes 2,700 schemas when it is loaded, for all messages of both ends, and a client checks permission requests by them,
 * nothing else. In the bundle they are made when the first message is checked: 19 ms less at every start of a guest. The build
 * fails where the SDK is not as it is known.
 */
export const lazyAcpSchemas: Plugin = {
  name: 'lazy-acp-schemas',
  setup(build) {
    const change = (file: RegExp, edit: (source: string) => string): void =>
      build.onLoad({ filter: file }, async ({ path }) => ({ contents: edit(await readFile(path, 'utf8')) }));
    change(/@agentclientprotocol\/sdk\/dist\/v1\/unstable\/schema\/zod\.gen\.js$/, madeWhenAsked);
    change(/@agentclientprotocol\/sdk\/dist\/v1\/acp\.js$/, (source) => {
      const asking = replaced(
        source,
        'import * as validate from "./unstable/schema/zod.gen.js";',
        // All that is done with a schema is to parse by it.
        `import { schemas } from "./unstable/schema/zod.gen.js";
         const validate = new Proxy({}, { get: (_, name) => ({ parse: (value) => schemas()[name].parse(value) }) });`,
      );
      // More schemas, for functions that the guest does not use.
      return replaced(asking, /^export \{[^}]*\} from "\.\/unstable\/schema\/guards\.gen\.js";$/m, '');
    });
  },
};

/** A module of nothing but `export const <name> = <schema>` exports one function instead, which makes and returns them all. */
function madeWhenAsked(source: string): string {
  const names = [...source.matchAll(/^export const (\w+) = /gm)].map(([, name]) => name);
  const imports = replaced(source, /^export const [^]*$/m, '');
  const made = source.slice(imports.length).replaceAll(/^export const /gm, 'const ');
  return `${imports} let made; export const schemas = () => (made ??= (() => { ${made}\nreturn { ${names.join(', ')} }; })());`;
}

function replaced(source: string, what: string | RegExp, by: string): string {
  const changed = source.replace(what, () => by);
  if (changed === source) throw new Error(`The ACP SDK has no ${String(what)}: see scripts/lazy-acp-schemas.ts.`);
  return changed;
}
