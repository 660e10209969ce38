/** Everything behind a replay, real, over one directory; it can be closed and opened again. */
import { mkdir } from 'node:fs/promises';
import { DEFAULT_TENANT, type Offset, type PartitionKey, type StreamName } from '../../src/base/brand.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { type FileSystem, nodeFiles } from '../../src/base/files.ts';
import { systemIds } from '../../src/base/ids.ts';
import { unowned } from '../../src/base/ownership.ts';
import { type Catalog, openCatalog } from '../../src/catalog/index.ts';
import { parseRollup, parseStream } from '../../src/define/index.ts';
import { createIngest, DedupMemory, engineStore, type RunningIngest } from '../../src/ingest/index.ts';
import { type Log, openFileLog } from '../../src/log/index.ts';
import { createReplays, type ReplayRequest, type Replays, recoverSwaps } from '../../src/replay/index.ts';
import { createRuns, type Run, type Runs } from '../../src/runs/index.ts';
import {
  discardedTable,
  type Engine,
  eventsTable,
  openChdb,
  quarantineTable,
  StoreTables,
} from '../../src/store/index.ts';
import { expectRollupEqualsRaw } from '../support/check-store.ts';

export const TENANT = DEFAULT_TENANT;

/** Time of arrival that a test sets; durations are real. */
export class ArrivalClock implements Clock {
  atMs = Date.UTC(2024, 4, 1);
  now(): number {
    return this.atMs;
  }
  monotonicMs(): number {
    return systemClock.monotonicMs();
  }
  /** What is tried again is tried again at once; whoever waits for the end of a run waits in earnest. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms >= 40_000 ? ms : Math.min(ms, 5), signal);
  }
}

/** The engine, but for these. */
export const around = (engine: Engine, changes: Partial<Engine>): Engine =>
  new Proxy(engine, {
    get: (target, name) => {
      const changed = changes[name as keyof Engine];
      if (changed) return changed;
      const own: unknown = Reflect.get(target, name);
      return typeof own === 'function' ? own.bind(target) : own;
    },
  });

export interface Hands {
  readonly wrapEngine?: (engine: Engine) => Engine;
  readonly wrapFiles?: (files: FileSystem) => FileSystem;
}

export class System {
  readonly directory: string;
  readonly clock: ArrivalClock;
  /** The stream that a test works with. */
  name: string;
  /** What was told as a failure. */
  readonly failures: unknown[] = [];
  readonly #logger = {
    info: () => {},
    error: (details: object) => this.failures.push((details as { readonly err?: unknown }).err),
  };
  engine!: Engine;
  catalog!: Catalog;
  log!: Log;
  ingest!: RunningIngest;
  runs!: Runs;
  replays!: Replays;

  constructor(directory: string, name = 's', clock = new ArrivalClock()) {
    this.directory = directory;
    this.name = name;
    this.clock = clock;
  }

  async open({ wrapEngine, wrapFiles }: Hands = {}): Promise<void> {
    const { directory, clock } = this;
    const files = wrapFiles?.(nodeFiles) ?? nodeFiles;
    await mkdir(`${directory}/scratch`, { recursive: true });
    const engine = openChdb({ directory: `${directory}/store`, readers: 2 });
    this.engine = engine;
    const worked = wrapEngine?.(engine) ?? engine;
    this.catalog = await openCatalog(`${directory}/catalog.sqlite`, clock);
    this.log = await openFileLog({
      ...{ directory: `${directory}/log`, files: nodeFiles, clock, ids: systemIds, lingerMs: 0 },
      onDamage: () => {},
    });
    const memory = new DedupMemory({ bytesMax: 2 ** 28 });
    const owner = unowned;
    this.ingest = createIngest({
      ...{ catalog: this.catalog, log: this.log, files: nodeFiles, clock, directory, owner },
      store: engineStore({ engine, files: nodeFiles, directory: `${directory}/scratch`, memory }),
      onFailure: (error) => this.failures.push(error),
    });
    this.runs = createRuns({ catalog: this.catalog, clock, ids: systemIds, logger: this.#logger });
    const parts = {
      ...{ catalog: this.catalog, log: this.log, engine: worked, ingest: this.ingest, files, clock, owner },
      ...{ memory, runs: this.runs, directory, logger: this.#logger },
    };
    this.replays = createReplays(parts);
    await recoverSwaps(parts);
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

  async widen(stream: object): Promise<void> {
    const next = parseStream(this.name, stream);
    const previous = this.catalog.stream(TENANT, this.name)!.definition;
    await this.ingest.exclusively(TENANT, next.name, async () => {
      await new StoreTables(this.engine).widenStream(TENANT, previous, next);
      await this.catalog.put(TENANT, next);
    });
  }

  key = (partition = 0): PartitionKey => ({ tenant: TENANT, stream: this.name as StreamName, partition });

  /** Appends lines that arrive at once, and resolves when they are durable. */
  async append(lines: readonly (object | string)[], partition = 0): Promise<void> {
    const text = lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('');
    const bytes = Buffer.from(text);
    await this.log.append(this.key(partition), {
      ...{ chunks: [bytes], count: lines.length, bytes: bytes.byteLength },
    });
  }

  async applied(): Promise<void> {
    const { partitions } = this.catalog.stream(TENANT, this.name)!.definition;
    for (let partition = 0; partition < partitions; partition += 1) {
      const { end } = this.log.state(this.key(partition));
      if (end > 0) await this.ingest.applied(this.key(partition), (end - 1) as Offset, end);
    }
  }

  async replay(request: ReplayRequest = {}): Promise<Run> {
    const { id } = await this.replays.start(TENANT, this.name, request);
    return this.runs.wait(TENANT, id, 60_000);
  }

  async count(table: string, where = 'true'): Promise<number> {
    const [row] = await this.engine.rows<{ n: string }>({
      text: `SELECT count() AS n FROM ${table} WHERE ${where}`,
    });
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

  /** Every row of the three tables, in the order of the log. */
  async rows(): Promise<string> {
    const all: string[] = [];
    for (const table of [this.events, this.quarantine, this.discarded]) {
      const bytes = await this.engine.query(
        { text: `SELECT * FROM ${table} ORDER BY _partition, _offset` },
        'JSONEachRow',
      );
      all.push(Buffer.from(bytes).toString('utf8'));
    }
    return all.join('---\n');
  }

  totals(partition = 0): unknown {
    return this.ingest.state(this.key(partition)).totals;
  }

  /** Each record is in one of the tables, once; totals and rollups say the same; nothing is left of a replay. */
  async check(): Promise<void> {
    const { definition } = this.catalog.stream(TENANT, this.name)!;
    for (let partition = 0; partition < definition.partitions; partition += 1) {
      const { applied, totals } = this.ingest.state(this.key(partition));
      const where = `_partition = ${partition}`;
      const seen = new Set<string>();
      for (const table of [this.events, this.quarantine, this.discarded]) {
        const rows = await this.engine.rows<{ o: string }>({
          text: `SELECT _offset AS o FROM ${table} WHERE ${where}`,
        });
        for (const { o } of rows) {
          if (seen.has(o)) throw new Error(`${partition}/${o} is there twice`);
          seen.add(o);
        }
      }
      if (seen.size !== applied) throw new Error(`${seen.size} of ${applied} records are there`);
      const held = {
        stored: await this.count(this.events, where),
        duplicates: await this.count(this.discarded, `${where} AND why = 'duplicate'`),
        quarantined: await this.count(this.quarantine, where),
        lateDropped: await this.count(this.discarded, `${where} AND why = 'late'`),
      };
      const { stored, duplicates, quarantined, lateDropped } = totals;
      const told = { stored, duplicates, quarantined, lateDropped };
      if (JSON.stringify(told) !== JSON.stringify(held))
        throw new Error(`told ${JSON.stringify(told)}, held ${JSON.stringify(held)}`);
    }
    for (const { definition: rollup, version } of this.catalog.rollups(TENANT)) {
      if (rollup.from !== this.name) continue;
      if (version !== 1 || (await this.count(this.events)) === 0) continue;
      await expectRollupEqualsRaw(this.engine, definition, rollup);
    }
    const left = await this.engine.rows<{ name: string }>({
      text: "SELECT name FROM system.tables WHERE name LIKE '%shadow\\\\_%'",
    });
    if (left.length > 0) throw new Error(`left behind: ${left.map(({ name }) => name).join(', ')}`);
  }
}
