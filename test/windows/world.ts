/** Everything behind windows, real, with a watermark that the test moves; and ports on which the power can go out. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Offset, type StreamName, DEFAULT_TENANT as TENANT } from '../../src/base/brand.ts';
import { ManualClock, systemClock } from '../../src/base/clock.ts';
import { nodeFiles } from '../../src/base/files.ts';
import { countingIds, systemIds } from '../../src/base/ids.ts';
import { unowned } from '../../src/base/ownership.ts';
import { openCatalog } from '../../src/catalog/index.ts';
import { createIngest, DedupMemory, engineStore } from '../../src/ingest/index.ts';
import { createMemoryLog } from '../../src/log/index.ts';
import { createRegistry, type RunningRegistry } from '../../src/registry/index.ts';
import { createRuns } from '../../src/runs/index.ts';
import { openChdb, StoreTables } from '../../src/store/index.ts';
import { createWindows, type RunningWindows, type WindowsParts } from '../../src/windows/index.ts';

export { TENANT };

/** The power goes out: nothing after it happens. */
export class PowerCut extends Error {}

export async function makeWorld(bounds: NonNullable<WindowsParts['bounds']> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-windows-'));
  const engine = openChdb({ directory: join(directory, 'store'), readers: 2, writers: 2 });
  const clock = new ManualClock(Date.UTC(2024, 5, 1));
  const log = createMemoryLog({ clock, ids: countingIds() });
  const catalog = await openCatalog(join(directory, 'catalog.sqlite'), systemClock);
  await nodeFiles.mkdir(join(directory, 'scratch'));
  const ingest = createIngest({
    ...{ catalog, log, owner: unowned, files: nodeFiles, clock: systemClock, directory },
    store: engineStore({
      ...{ engine, files: nodeFiles, directory: join(directory, 'scratch') },
      memory: new DedupMemory({ bytesMax: 2 ** 28 }),
    }),
    onFailure: (error) => {
      throw error;
    },
  });
  const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const runs = createRuns({ catalog, clock: systemClock, ids: systemIds, logger });
  const watermark = new Map<string, number>();
  const appliedOf = (stream: string): Offset[] => {
    const partitions = catalog.stream(TENANT, stream)?.definition.partitions ?? 0;
    const key = (partition: number) => ({ tenant: TENANT, stream: stream as StreamName, partition });
    return Array.from({ length: partitions }, (_, partition) => ingest.state(key(partition)).applied);
  };
  let statements = 0;
  const asked: typeof engine.query = (...question) => {
    statements += 1;
    return engine.query(...question);
  };
  const parts: WindowsParts = {
    ...{ catalog, log, ingest, clock, logger },
    engine: { query: asked },
    watermarks: {
      of: (_, stream) => ({
        ...{ atMs: watermark.get(stream), applied: appliedOf(stream) },
        ...{ lagMs: 0, sources: 1, idleSources: 0 },
      }),
      duplicates: () => ({ count: 0, isExact: true }),
      heartbeat: async () => undefined,
      watch: () => () => undefined,
    },
    tenants: { list: () => [TENANT] },
    registry: () => registry,
    bounds,
  };
  let windows = createWindows(parts);
  const registry: RunningRegistry = createRegistry({
    ...{ catalog, schema: new StoreTables(engine), ingest, log, runs },
    hooks: () => ({ window: windows.hooks }),
  });

  return {
    ...{ engine, catalog, registry, clock, watermark },
    /** That windows have asked the engine so far. */
    get statements(): number {
      return statements;
    },
    get windows(): RunningWindows {
      return windows;
    },
    /** Another process on what is durable. The power goes out at its `steps`-th step, before or after it. */
    restart(steps = Number.POSITIVE_INFINITY, when: 'before' | 'after' = 'before') {
      let left = steps;
      const through = async <T>(work: () => Promise<T>): Promise<T> => {
        left -= 1;
        if (left < 0 || (left === 0 && when === 'before')) throw new PowerCut();
        const result = await work();
        if (left === 0) throw new PowerCut();
        return result;
      };
      const { state } = catalog;
      const over: WindowsParts = {
        ...parts,
        engine: { query: (...question) => through(() => engine.query(...question)) },
        log: { append: (...one) => through(() => log.append(...one)), state: (key) => log.state(key) },
        ingest: {
          state: (key) => ingest.state(key),
          applied: (...one) => through(() => ingest.applied(...one)),
        },
        catalog: Object.assign(Object.create(catalog), {
          state: {
            ...state,
            get: (...one: Parameters<typeof state.get>) => through(() => state.get(...one)),
            write: (...one: Parameters<typeof state.write>) => through(() => state.write(...one)),
          },
        }),
      };
      windows = createWindows(steps === Number.POSITIVE_INFINITY ? parts : over);
    },
    async send(stream: string, events: readonly object[], partition = 0): Promise<void> {
      if (events.length === 0) return;
      const bytes = Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
      const key = { tenant: TENANT, stream: stream as StreamName, partition };
      const { baseOffset, count } = await log.append(key, {
        ...{ chunks: [bytes], count: events.length, bytes: bytes.byteLength },
      });
      await ingest.applied(key, baseOffset, (baseOffset + count) as Offset);
    },
    async results<Row = Readonly<Record<string, unknown>>>(
      window: string,
      versions: 'all' | 'latest' = 'all',
    ): Promise<readonly Row[]> {
      const found: Row[] = [];
      for (let cursor: string | undefined; ; ) {
        const page = await windows.results(TENANT, window, {
          ...{ versions, limit: 1_000 },
          ...(cursor === undefined ? {} : { cursor }),
        });
        found.push(...(JSON.parse(page.resultsJson) as Row[]));
        if (page.next === null) return found;
        cursor = page.next;
      }
    },
    async close() {
      await windows.stop();
      await Promise.all([runs.stop(), ingest.stop()]);
      await engine.close();
      await catalog.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
