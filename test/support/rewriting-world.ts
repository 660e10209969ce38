/** What stands behind everything that rewrites what is stored, real, over one directory: it can be closed and opened again. */
import { mkdir } from 'node:fs/promises';
import { DEFAULT_TENANT, type PartitionKey, type StreamName } from '../../src/base/brand.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { nodeFiles } from '../../src/base/files.ts';
import { systemIds } from '../../src/base/ids.ts';
import { unowned } from '../../src/base/ownership.ts';
import { type Catalog, openCatalog } from '../../src/catalog/index.ts';
import { parseRollup, parseStream } from '../../src/define/index.ts';
import { createIngest, DedupMemory, engineStore, type RunningIngest } from '../../src/ingest/index.ts';
import { type Log, openFileLog } from '../../src/log/index.ts';
import { createRuns, type Runs } from '../../src/runs/index.ts';
import {
  discardedTable,
  type Engine,
  eventsTable,
  openChdb,
  quarantineTable,
  StoreTables,
} from '../../src/store/index.ts';

export const TENANT = DEFAULT_TENANT;

/** Time of arrival that a test sets; durations are real. */
export class ArrivalClock implements Clock {
  atMs: number;
  constructor(atMs: number) {
    this.atMs = atMs;
  }
  now(): number {
    return this.atMs;
  }
  monotonicMs(): number {
    return systemClock.monotonicMs();
  }
  /** What is tried again is tried again at once. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(Math.min(ms, 5), signal);
  }
}

export interface RewritingOptions {
  readonly segmentBytes?: number;
  readonly dedupBytesMax: number;
  /** A batch could not be applied. */
  readonly onFailure?: (error: unknown) => void;
  /** What is logged as an error. */
  readonly onError: (details: object) => void;
}

export class RewritingWorld {
  readonly directory: string;
  readonly clock: ArrivalClock;
  /** The stream that a test works with. */
  name: string;
  engine!: Engine;
  catalog!: Catalog;
  log!: Log;
  ingest!: RunningIngest;
  runs!: Runs;

  constructor(directory: string, name: string, clock: ArrivalClock) {
    this.directory = directory;
    this.name = name;
    this.clock = clock;
  }

  /** Opens what is below, and gives the parts of who stands on it. Nothing is applied before `begin`. */
  protected async openParts({ segmentBytes, dedupBytesMax, onFailure, onError }: RewritingOptions) {
    const { directory, clock } = this;
    await mkdir(`${directory}/scratch`, { recursive: true });
    const engine = openChdb({ directory: `${directory}/store`, readers: 2 });
    this.engine = engine;
    this.catalog = await openCatalog(`${directory}/catalog.sqlite`, clock);
    this.log = await openFileLog({
      ...{ directory: `${directory}/log`, files: nodeFiles, clock, ids: systemIds, lingerMs: 0 },
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
      onDamage: () => {},
    });
    const memory = new DedupMemory({ bytesMax: dedupBytesMax });
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
      onFailure: onFailure ?? (() => {}),
    });
    const logger = { info: () => {}, error: onError };
    this.runs = createRuns({ catalog: this.catalog, clock, ids: systemIds, logger });
    return { ...shared, engine, ingest: this.ingest, runs: this.runs, memory, logger };
  }

  protected async begin(): Promise<void> {
    for (const { definition } of this.catalog.streams(TENANT)) {
      await new StoreTables(this.engine).createStream(TENANT, definition);
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

  key = (partition = 0): PartitionKey => ({ tenant: TENANT, stream: this.name as StreamName, partition });

  /** Appends lines that arrive at once, and resolves when they are durable. */
  async append(lines: readonly (object | string)[], partition = 0, replayed = false) {
    const text = lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('');
    const bytes = Buffer.from(text);
    return this.log.append(
      this.key(partition),
      { chunks: [bytes], count: lines.length, bytes: bytes.byteLength },
      replayed ? { replayed: true } : {},
    );
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
      const text = `SELECT * FROM ${table} ORDER BY _partition, _offset`;
      all.push(Buffer.from(await this.engine.query({ text }, 'JSONEachRow')).toString('utf8'));
    }
    return all.join('---\n');
  }

  totals(partition = 0): object {
    return this.ingest.state(this.key(partition)).totals;
  }
}
