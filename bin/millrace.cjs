#!/usr/bin/env node
// The size of the thread pool is read when it is first used, so it is set before anything else is loaded:
// with fewer threads, reading files waits behind questions.
process.env.UV_THREADPOOL_SIZE ??= '16';

import(require('./built.cjs').built('cli/main')).then(
  (cli) => cli.main(),
  (error) => {
    process.stderr.write(`millrace cannot be loaded: ${error.stack}\nIs it built? (npm run build)\n`);
    process.exit(1);
  },
);
