/** Everything from the log to the rollups, real, in a directory of its own; a crash leaves it as it is. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Offset, type StreamName, DEFAULT_TENANT as TENANT } from '../../src/base/brand.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { nodeFiles } from '../../src/base/files.ts';
import { countingIds, systemIds } from '../../src/base/ids.ts';
import { unowned } from '../../src/base/ownership.ts';
import { type Catalog, openCatalog } from '../../src/catalog/index.ts';
import { columnOf, fieldOf } from '../../src/define/model.ts';
import { createIngest, DedupMemory, engineStore, type RunningIngest } from '../../src/ingest/index.ts';
import { createMemoryLog, type Log } from '../../src/log/index.ts';
import { createRegistry, type RunningRegistry } from '../../src/registry/index.ts';
import { createRuns, type Runs } from '../../src/runs/index.ts';
import {
  type Engine,
  eventsTable,
  openChdb,
  quoteIdentifier,
  rollupDelta,
  rollupStates,
  rollupTable,
  StoreTables,
} from '../../src/store/index.ts';

/** A process over the world's directory. */
export interface Process {
  readonly catalog: Catalog;
  readonly ingest: RunningIngest;
  readonly registry: RunningRegistry;
  readonly runs: Runs;
  readonly failures: unknown[];
  stop(): Promise<void>;
}

export interface World {
  readonly engine: Engine;
  readonly log: Log;
  /** Time of arrival, set by the test. */
  readonly arrival: { now: number };
  start(over?: Engine): Promise<Process>;
  /** Appends events; resolves with the end of the log. */
  append(stream: string, events: readonly object[], partition?: number): Promise<number>;
  close(): Promise<void>;
}

export const CHUNK_EVENTS = 100;

export function makeWorld(): World {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-builds-'));
  const engine = openChdb({ directory: join(directory, 'store'), readers: 2, writers: 2 });
  const arrival = { now: Date.UTC(2024, 5, 1) };
  const clock: Clock = { ...systemClock, now: () => arrival.now };
  const log = createMemoryLog({ clock, ids: countingIds() });
  const logger = { info: () => undefined, error: () => undefined };
  let starts = 0;
  return {
    engine,
    log,
    arrival,
    async start(over = engine) {
      starts += 1;
      const catalog = await openCatalog(join(directory, 'catalog.sqlite'), systemClock);
      const failures: unknown[] = [];
      const scratch = join(directory, `scratch-${starts}`);
      await nodeFiles.mkdir(scratch);
      const ingest = createIngest({
        catalog,
        log,
        store: engineStore({
          engine: over,
          files: nodeFiles,
          directory: scratch,
          memory: new DedupMemory({ bytesMax: 2 ** 30 }),
        }),
        owner: unowned,
        files: nodeFiles,
        clock: systemClock,
        directory,
        onFailure: (error) => failures.push(error),
      });
      const runs = createRuns({ catalog, clock: systemClock, ids: systemIds, logger });
      const schema = new StoreTables(over, { chunkEvents: CHUNK_EVENTS });
      const registry = createRegistry({ catalog, schema, ingest, log, runs });
      for (const { definition } of catalog.streams(TENANT)) {
        await schema.createStream(TENANT, definition);
        await ingest.begin(TENANT, definition);
      }
      await registry.recover();
      await runs.resume();
      const stop = async () => {
        await Promise.all([runs.stop(), ingest.stop()]);
        await catalog.close();
      };
      return { catalog, ingest, registry, runs, failures, stop };
    },
    async append(stream, events, partition = 0) {
      const bytes = Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
      const key = { tenant: TENANT, stream: stream as StreamName, partition };
      const { baseOffset, count } = await log.append(key, {
        chunks: [bytes],
        count: events.length,
        bytes: bytes.byteLength,
      });
      return baseOffset + count;
    },
    async close() {
      await engine.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export const applied = ({ ingest }: Process, stream: string, to: number, partition = 0) =>
  ingest.applied({ tenant: TENANT, stream: stream as StreamName, partition }, 0 as Offset, to as Offset);

/** Every bucket of every tier with all its numbers, as text. `from`: the rollup's table, or what the events say. */
export async function bucketsOf(
  engine: Engine,
  catalog: Catalog,
  name: string,
  from: 'table' | 'events',
): Promise<readonly string[]> {
  const { definition, version } = catalog.rollup(TENANT, name)!;
  const stream = catalog.stream(TENANT, definition.from)!.definition;
  const source =
    from === 'table'
      ? `(SELECT * FROM ${rollupTable(TENANT, name, version)} WHERE _tier > 0)`
      : `(${rollupDelta(stream, definition, eventsTable(TENANT, stream.name))})`;
  const dimensions = definition.by.map((name) => quoteIdentifier(columnOf(fieldOf(stream, name)!)));
  const states = rollupStates(stream, definition).map((state) =>
    state.type.startsWith('Simple') ? state.merge : `finalizeAggregation(${state.merge})`,
  );
  const keys = ['_tier', '_bucket', ...dimensions];
  const rows = await engine.rows<{ row: unknown }>({
    text: `SELECT tuple(${[...keys, ...states].join(', ')}) AS row FROM ${source} GROUP BY ${keys.join(', ')} ORDER BY ${keys.join(', ')}`,
  });
  return rows.map(({ row }) => JSON.stringify(row));
}

/** Names of the rollup tables that are there. */
export async function rollupTables(engine: Engine): Promise<readonly string[]> {
  const rows = await engine.rows<{ name: string }>({
    text: "SELECT name FROM system.tables WHERE database = 't_default' AND startsWith(name, 'rollup_') ORDER BY name",
  });
  return rows.map(({ name }) => name);
}

/** An engine on which the power goes out at the `at`-th statement, before or after it is carried out: nothing answers any more. */
export function powerCutAt(engine: Engine, at: number, when: 'before' | 'after') {
  const power = { statements: 0, out: false };
  let went = () => {};
  const gone = new Promise<void>((resolve) => {
    went = resolve;
  });
  const never = <T>(): Promise<T> => new Promise<T>(() => undefined);
  const through = async <T>(work: () => Promise<T>): Promise<T> => {
    if (power.out) return never();
    power.statements += 1;
    if (power.statements !== at) {
      const result = await work();
      return power.out ? never() : result;
    }
    power.out = true;
    if (when === 'after') await work();
    went();
    return never();
  };
  const over: Engine = {
    execute: (statement) => through(() => engine.execute(statement)),
    query: (...question) => through(() => engine.query(...question)),
    rows: (...question) => through(() => engine.rows(...question)) as never,
    stream: (...question) => engine.stream(...question),
    close: () => engine.close(),
  };
  return { over, power, gone };
}

/** An engine that calls `then` before its `at`-th statement, and carries everything out. */
export function callingAt(engine: Engine, at: number, then: () => void): Engine {
  let statements = 0;
  const through = <T>(work: () => Promise<T>): Promise<T> => {
    statements += 1;
    if (statements === at) then();
    return work();
  };
  return {
    execute: (statement) => through(() => engine.execute(statement)),
    query: (...question) => through(() => engine.query(...question)),
    rows: (...question) => through(() => engine.rows(...question)) as never,
    stream: (...question) => engine.stream(...question),
    close: () => engine.close(),
  };
}
