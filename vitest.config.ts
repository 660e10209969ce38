import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const source = (path: string): string => new URL(path, import.meta.url).pathname;

/**
 * Files that have a process of their own, the longest first: they hold a limit of the process, make the engine crash, or
 * work for long. All others follow each other in a few processes, for loading the engine and its four hundred modules
 * takes longer than most of them. Such a file closes what it opens: the engine serves one directory at a time.
 */
const OWN_PROCESS = [
  'test/power/cut.test.ts',
  'test/system/*.test.ts',
  'test/simulation/*.test.ts',
  'test/reconcile/*.test.ts',
  'test/registry/*.test.ts',
  'test/bench/benches.test.ts',
  'test/replay/*.test.ts',
  'test/windows/*.test.ts',
  'test/web/page.test.ts',
  'test/demo/*.test.ts',
  'test/examples/*.test.ts',
  'test/testing/*.test.ts',
  'test/exact/*.test.ts',
  'test/hot/{differential,bounds}.test.ts',
  'test/conformance/{kills,swaps,mutations,damage}.test.ts',
  // A server that cannot start leaves the engine open, as its process is about to end.
  'test/cli/start.test.ts',
];

/** The long ones among the others. */
const LONG = [
  'test/serve/{clickhouse,sql}-*.test.ts',
  'test/serve/cross-tenant.test.ts',
  'test/stats/{results,differential,lookups}.test.ts',
  'test/triggers/*-trigger.test.ts',
  'test/ledger/ledger.test.ts',
  'test/ingest/ingest.test.ts',
  'test/cli/send.test.ts',
  'test/log/*.test.ts',
  'test/catalog/*.test.ts',
];

const ORDER = [...OWN_PROCESS, ...LONG].map(
  (pattern) =>
    new RegExp(
      `/${pattern
        .replaceAll('.', '\\.')
        .replaceAll('*', '[^/]*')
        .replace(/\{(.*)\}/, (_, some: string) => `(${some.replaceAll(',', '|')})`)}$`,
    ),
);

/** Otherwise all processes but one stand idle in the end, while the longest file runs that happened to come last. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = (file: TestSpecification): number => {
      const at = ORDER.findIndex((pattern) => pattern.test(file.moduleId));
      return at < 0 ? ORDER.length : at;
    };
    return [...files].sort((a, b) => place(a) - place(b) || (a.moduleId < b.moduleId ? -1 : 1));
  }
}

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
    // The engine is a native library with one data path per process.
    pool: 'forks',
    // More than the processors of a small machine: many tests wait for disks and clocks.
    maxWorkers: 4,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    env: { UV_THREADPOOL_SIZE: '16' },
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'alone', include: OWN_PROCESS } },
      {
        extends: true,
        test: { name: 'together', include: ['test/**/*.test.ts'], exclude: OWN_PROCESS, isolate: false },
      },
    ],
  },
});
