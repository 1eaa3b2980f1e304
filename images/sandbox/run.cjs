// run.cjs <program> [argument…]: runs a CommonJS program with V8's code cache beside it, `<program>.code`: all that a first turn calls
// is then compiled already. Node's own compile cache holds what is compiled when a program is loaded, and no more. Where the file
// is missing, or not taken, which a warning says, V8 compiles as ever.
const { readFileSync, writeFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const paths = require('node:path');
const { Script } = require('node:vm');

const path = process.argv[2];
process.argv.splice(1, 2, path);

const head = '(function (exports, require, module, __filename, __dirname) {';
// The bundler writes nothing but ASCII, which is half as large in memory when it is read as Latin-1.
const script = new Script(`${head}${readFileSync(path, 'latin1')}\n})`, {
  filename: path,
  columnOffset: -head.length,
  cachedData: fileIfAny(`${path}.code`),
});
if (script.cachedDataRejected)
  process.emitWarning(`The code cache of ${path} is of another Node, or of one with other options.`);

// Only when the image is built: the folder that the cache is written to when the program ends.
const folder = process.env.CAISSON_WRITE_CODE;
if (folder !== undefined) {
  process.once('exit', () =>
    writeFileSync(paths.join(folder, `${paths.basename(path)}.code`), script.createCachedData()),
  );
  process.once('SIGTERM', () => process.listenerCount('SIGTERM') === 0 && process.exit());
}

const program = { exports: {} };
script.runInThisContext()(program.exports, createRequire(path), program, path, paths.dirname(path));

function fileIfAny(name) {
  try {
    return readFileSync(name);
  } catch {
    return undefined;
  }
}
