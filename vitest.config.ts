import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const source = (path: string): string => new URL(path, import.meta.url).pathname;

/**
 * Folders whose files follow each other in a few processes: loading the engine and four hundred modules takes longer than
 * most of them. Such a file closes what it opens, for the engine serves one directory at a time. All others have a process
 * of their own: they are long, hold the process to a limit, or make the engine crash.
 */
const SHARING = [
  'base cache catalog cli client collect config conformance define deliver hot ingest issues ledger log',
  'quarantine runs serve sql stats store tenants tidy usage',
].flatMap((line) => line.split(' '));
const ALONE_AMONG_THEM = [
  'test/conformance/{kills,swaps,mutations,damage}.test.ts',
  'test/hot/{differential,bounds}.test.ts',
  // A server that cannot start leaves the engine open, as its process is about to end.
  'test/cli/start.test.ts',
];

/** Files that take long, the longest first. */
const LONG = [
  'power/cut system/kill simulation/simulation reconcile/repair registry/builds bench/benches replay/crash',
  'reconcile/missing reconcile/crash windows/crash system/ailments demo/flights examples/stations',
  'system/tenant-deletion web/page web/event-time system/spine windows/windows system/operations',
  'system/page-access replay/replay registry/evolution hot/differential serve/cross-tenant',
  'serve/clickhouse-hostile serve/sql-hostile stats/results cli/send serve/clickhouse-client',
  'serve/clickhouse-openings serve/sql-formats serve/sql-row-filters ledger/ledger ingest/ingest',
  'ingest/dedup-index quarantine/replay store/shadow',
].flatMap((line) => line.split(' '));

/** Otherwise all processes but one stand idle in the end, while the longest file runs that happened to come last. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ project, moduleId }: TestSpecification): number => {
      const at = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      // A process is kept only when the next file of the queue may share it.
      return (project.config.isolate ? 0 : 1_000) + (at < 0 ? LONG.length : at);
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
    // One more than the processors of a small machine: many tests wait for disks and clocks.
    maxWorkers: 3,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    env: { UV_THREADPOOL_SIZE: '16' },
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'alone',
          include: ['test/*.test.ts', `test/!(${SHARING.join('|')})/**/*.test.ts`, ...ALONE_AMONG_THEM],
        },
      },
      {
        extends: true,
        test: {
          name: 'together',
          include: [`test/{${SHARING.join(',')}}/**/*.test.ts`],
          exclude: ALONE_AMONG_THEM,
          isolate: false,
        },
      },
    ],
  },
});
