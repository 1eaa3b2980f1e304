// Preloaded (`node --require`) before a program that has V8's code cache beside it, as `<program>.cache/`. The folder is filled when
// the image is built and read-only afterwards. An option, not NODE_COMPILE_CACHE: nothing that the program starts inherits it.
const { enableCompileCache } = require('node:module');

enableCompileCache(`${process.argv[1]}.cache`);
