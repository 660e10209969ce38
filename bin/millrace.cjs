#!/usr/bin/env node
// Bodies and blocks of the log lie outside the heap. They count as its growth, so that at 10 MB/s a heap of 40 MB would be collected twice
// a second, 10 ms each; with room for twice what is alive it is every few seconds.
require('node:v8').setFlagsFromString('--heap-growing-percent=200');

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
