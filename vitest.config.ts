import { defineConfig } from 'vitest/config';

const source = (path: string): string => new URL(path, import.meta.url).pathname;

export default defineConfig({
  // Examples import the package by its name, as its users do.
  resolve: {
    alias: [
      { find: /^millrace$/, replacement: source('src/define/index.ts') },
      { find: /^millrace\/client$/, replacement: source('src/client/index.ts') },
      { find: /^millrace\/testing$/, replacement: source('src/testing/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // The engine is a native library with one data path per process: each test file owns a process.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    env: { UV_THREADPOOL_SIZE: '16' },
    typecheck: {
      enabled: true,
      ignoreSourceErrors: true,
      include: ['test/**/*.test-d.ts'],
      tsconfig: './tsconfig.json',
    },
  },
});
