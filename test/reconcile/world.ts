/** Everything behind a reconciliation, real, over one directory; it can be closed, damaged and opened again. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TENANT, type Offset, type PartitionKey, type StreamName } from '../../src/base/brand.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { nodeFiles } from '../../src/base/files.ts';
import { systemIds } from '../../src/base/ids.ts';
import { unowned } from '../../src/base/ownership.ts';
import { type Catalog, openCatalog } from '../../src/catalog/index.ts';
import { parseRollup, parseStream } from '../../src/define/index.ts';
import { createIngest, DedupMemory, engineStore, type RunningIngest } from '../../src/ingest/index.ts';
import { type Log, openFileLog } from '../../src/log/index.ts';
import {
  createReconciler,
  type ReconcileReport,
  type ReconcileRequest,
  type Reconciler,
} from '../../src/reconcile/index.ts';
import { createRuns, type Run, type Runs } from '../../src/runs/index.ts';
import {
  discardedTable,
  type Engine,
  eventsTable,
  openChdb,
  quarantineTable,
  replayedTable,
  rollupTable,
  StoreTables,
} from '../../src/store/index.ts';

export const TENANT = DEFAULT_TENANT;

/** Time of arrival that a test sets; durations are real. */
export class ArrivalClock implements Clock {
  atMs = Date.UTC(2024, 4, 1, 12);
  now(): number {
    return this.atMs;
  }
  monotonicMs(): number {
    return systemClock.monotonicMs();
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(Math.min(ms, 5), signal);
  }
}

export class World {
  readonly directory: string;
  readonly clock = new ArrivalClock();
  readonly name = 's';
  readonly told: object[] = [];
  engine!: Engine;
  catalog!: Catalog;
  log!: Log;
  ingest!: RunningIngest;
  runs!: Runs;
  reconciler!: Reconciler;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async make(): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'millrace-reconcile-')));
    await world.open();
    return world;
  }

  /** `around` is put around the engine that reconciliations use. */
  async open(around: (engine: Engine) => Engine = (engine) => engine): Promise<void> {
    const { directory, clock } = this;
    await mkdir(`${directory}/scratch`, { recursive: true });
    const engine = openChdb({ directory: `${directory}/store`, readers: 2 });
    this.engine = engine;
    this.catalog = await openCatalog(`${directory}/catalog.sqlite`, clock);
    this.log = await openFileLog({
      ...{ directory: `${directory}/log`, files: nodeFiles, clock, ids: systemIds, lingerMs: 0 },
      segmentBytes: 4_096,
      onDamage: () => {},
    });
    const memory = new DedupMemory({ bytesMax: 2 ** 26 });
    const shared = {
      catalog: this.catalog,
      log: this.log,
      files: nodeFiles,
      clock,
      directory,
      owner: unowned,
    };
    this.ingest = createIngest({
      ...shared,
      store: engineStore({ engine, files: nodeFiles, directory: `${directory}/scratch`, memory }),
      onFailure: () => {},
    });
    const logger = {
      info: () => {},
      error: (details: object) =>
        void this.told.push('err' in details ? { words: String(details.err) } : details),
    };
    this.runs = createRuns({ catalog: this.catalog, clock, ids: systemIds, logger });
    this.reconciler = createReconciler({
      ...{ ...shared, engine: around(engine), ingest: this.ingest, runs: this.runs, logger },
    });
    for (const { definition } of this.catalog.streams(TENANT)) {
      await new StoreTables(engine).createStream(TENANT, definition);
      await this.ingest.begin(TENANT, definition);
    }
    await this.runs.resume();
  }

  async close(): Promise<void> {
    await this.log.close();
    await Promise.all([this.runs.stop(), this.ingest.stop()]);
    await this.engine.close();
    await this.catalog.close();
  }

  async end(): Promise<void> {
    await this.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  async define(stream: object, rollups: Readonly<Record<string, object>> = {}): Promise<void> {
    const definition = parseStream(this.name, stream);
    await this.catalog.put(TENANT, definition);
    const tables = new StoreTables(this.engine);
    await tables.createStream(TENANT, definition);
    await this.ingest.begin(TENANT, definition);
    for (const [name, document] of Object.entries(rollups)) {
      const rollup = parseRollup(name, { from: this.name, ...document }, () => definition);
      const { version } = await this.catalog.put(TENANT, rollup);
      await tables.buildRollup(TENANT, definition, rollup, version);
    }
  }

  key = (partition = 0): PartitionKey => ({ tenant: TENANT, stream: this.name as StreamName, partition });

  /** Appends lines that arrive at once, and resolves when they are applied. */
  async send(lines: readonly (object | string)[], partition = 0, replayed = false): Promise<void> {
    const text = lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('');
    const bytes = Buffer.from(text);
    const { baseOffset, count } = await this.log.append(
      this.key(partition),
      { chunks: [bytes], count: lines.length, bytes: bytes.byteLength },
      replayed ? { replayed: true } : {},
    );
    await this.ingest.applied(this.key(partition), baseOffset, (baseOffset + count) as Offset);
  }

  async run(request: ReconcileRequest = {}): Promise<Run> {
    // Runs are told apart by when they began.
    this.clock.atMs += 1;
    return this.ended((await this.reconciler.start(TENANT, this.name, request)).id);
  }

  /** The clock's waits are short, so it is waited again and again. */
  async ended(id: string): Promise<Run> {
    for (;;) {
      const run = await this.runs.wait(TENANT, id, 1_000);
      if (run.endedAtMs !== undefined) return run;
    }
  }

  async reconcile(request: ReconcileRequest = {}): Promise<ReconcileReport> {
    const run = await this.run(request);
    if (run.state !== 'done')
      throw new Error(`the run is ${run.state}: ${run.error} ${JSON.stringify(this.told)}`);
    return run.result as ReconcileReport;
  }

  do(text: string): Promise<void> {
    return this.engine.execute({ text });
  }

  async ask(text: string): Promise<readonly Record<string, unknown>[]> {
    return this.engine.rows({ text });
  }

  async count(table: string, where = 'true'): Promise<number> {
    const [row] = await this.ask(`SELECT count() AS n FROM ${table} WHERE ${where}`);
    return Number(row!.n);
  }

  get events(): string {
    return eventsTable(TENANT, this.name);
  }
  get quarantine(): string {
    return quarantineTable(TENANT, this.name);
  }
  get discarded(): string {
    return discardedTable(TENANT, this.name);
  }
  get replayed(): string {
    return replayedTable(TENANT, this.name);
  }
  rollup = (name: string): string => rollupTable(TENANT, name, 1);

  /** Every row of the three tables, in the order of the log: what must come back. */
  async rows(): Promise<string> {
    const all: string[] = [];
    for (const table of [this.events, this.quarantine, this.discarded]) {
      const text = `SELECT * FROM ${table} ORDER BY _partition, _offset`;
      all.push(Buffer.from(await this.engine.query({ text }, 'JSONEachRow')).toString('utf8'));
    }
    return all.join('---\n');
  }

  totals(partition = 0): object {
    return this.ingest.state(this.key(partition)).totals;
  }

  async partsOf(table: string): Promise<readonly { name: string; path: string; rows: number }[]> {
    const [database, name] = table.replaceAll('`', '').split('.');
    const rows = await this.ask(
      `SELECT name, path, rows FROM system.parts WHERE active AND database = '${database}' AND table = '${name}' ORDER BY name`,
    );
    return rows.map((row) => ({ name: String(row.name), path: String(row.path), rows: Number(row.rows) }));
  }

  async dropPart(table: string): Promise<void> {
    const [part] = await this.partsOf(table);
    await this.do(`ALTER TABLE ${table} DROP PART '${part!.name}'`);
  }

  /** Flips one bit in the middle of a file of the table's first part (or many all over it), while nothing is open. */
  async flipBit(table: string, file = 'data.bin', many = 1): Promise<void> {
    const [part] = await this.partsOf(table);
    await this.close();
    const path = `${part!.path}${file}`;
    const bytes = readFileSync(path);
    for (let one = 1; one <= many; one += 1)
      bytes[Math.floor((bytes.byteLength * one) / (many + 1))]! ^= 0x10;
    writeFileSync(path, bytes);
    await this.open();
  }

  async removePartDirectory(table: string): Promise<void> {
    const [part] = await this.partsOf(table);
    await this.close();
    rmSync(part!.path, { recursive: true });
    await this.open();
  }

  async leftovers(): Promise<readonly unknown[]> {
    return this.ask(
      "SELECT name FROM system.tables WHERE startsWith(name, 'shadow_') OR startsWith(name, 'stage_reconcile')",
    );
  }
}

export const STREAM = {
  fields: {
    id: 'string',
    kind: { type: 'enum', values: ['a', 'b', 'c'] },
    place: { type: 'string', optional: true },
    price: { type: 'decimal', precision: 18, scale: 2, optional: true },
    ratio: { type: 'float64', optional: true },
    n: 'int64',
    at: 'timestamp',
  },
  eventId: 'id',
  eventTime: 'at',
  partitions: 2,
  dedupe: { within: '1h' },
  lateness: { allowed: '10d', then: 'drop' },
};

export const ROLLUPS = {
  by_kind: {
    by: ['kind', 'place'],
    every: '1m',
    measures: {
      events: 'count()',
      total: 'sum(price)',
      mean: 'avg(ratio)',
      least: 'min(at)',
      greatest: 'max(place)',
      least_ratio: 'min(ratio)',
      ids: 'unique(id)',
      median: 'p50(n)',
      places: 'top(place,2)',
    },
  },
  plain: { every: '1h', measures: { events: 'count()', sum: 'sum(n)' } },
};

/** Events of which every fifth misses something, and some are bad. */
export function eventsFrom(first: number, count: number, atMs: number): object[] {
  return Array.from({ length: count }, (_, index) => {
    const number = first + index;
    const event = {
      id: `e${number}`,
      kind: ['a', 'b', 'c'][number % 3],
      n: number,
      at: atMs - (number % 7) * 40_000,
      ...(number % 5 === 0 ? {} : { place: `p${number % 4}`, price: `${number}.25`, ratio: number / 3 - 50 }),
    };
    return number % 11 === 10 ? { ...event, n: 'none' } : event;
  });
}
