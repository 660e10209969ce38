// Where the program lies: in a few files that load in half the time (vite.server.config.ts), or, while these are missing
// or older than what they are made of, in the modules as the compiler left them.
const { statSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');

const DIST = join(__dirname, '../dist');

/** The address of a module, for `import`: `built('cli/main')`. */
exports.built = (module, dist = DIST) => {
  const madeAt = (path) => statSync(join(dist, path), { throwIfNoEntry: false })?.mtimeMs;
  const together = `app/${module.slice(module.lastIndexOf('/') + 1)}.js`;
  const isFresh = madeAt(together) >= (madeAt('src/cli/main.js') ?? 0);
  return pathToFileURL(join(dist, isFresh ? together : `src/${module}.js`)).href;
};
