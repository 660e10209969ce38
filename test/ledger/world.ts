/** A log in memory, a real engine, and rows that are put where a test wants them: the ledger is what is tested. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TENANT, type Offset, type PartitionKey, type StreamName } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { countingIds } from '../../src/base/ids.ts';
import { type Catalog, openCatalog } from '../../src/catalog/index.ts';
import { parseStream } from '../../src/define/index.ts';
import type { Ingest } from '../../src/ingest/port.ts';
import { createLedger, type RunningLedger } from '../../src/ledger/index.ts';
import { createMemoryLog, type Log } from '../../src/log/index.ts';
import {
  discardedTable,
  type Engine,
  eventsTable,
  openChdb,
  quarantineTable,
  StoreTables,
} from '../../src/store/index.ts';
import { fixedTenants } from '../../src/tenants/index.ts';

export const T0 = Date.UTC(2024, 0, 1, 6);
export const MINUTE = 60_000;
export const TENANT = DEFAULT_TENANT;
export const STREAM = 's' as StreamName;
export const keyOf = (partition: number): PartitionKey => ({ tenant: TENANT, stream: STREAM, partition });

export type Outcome = 'stored' | 'duplicate' | 'quarantined' | 'late';
export interface Row {
  readonly partition: number;
  readonly offset: number;
  readonly receivedMs: number;
  readonly outcome: Outcome;
  readonly id?: string;
  readonly timeMs?: number;
}

export interface Told {
  readonly level: 'error' | 'info';
  readonly details: Readonly<Record<string, unknown>>;
}

export class World {
  readonly engine: Engine;
  readonly #directory: string;
  readonly partitions: number;
  clock = new ManualClock(T0);
  catalog!: Catalog;
  log: Log = createMemoryLog({ clock: this.clock, ids: countingIds(), segmentBytes: 200 });
  told: Told[] = [];
  applied: number[] = [];
  exclusive = 0;
  ledger!: RunningLedger;

  private constructor(directory: string, engine: Engine, partitions: number) {
    this.#directory = directory;
    this.engine = engine;
    this.partitions = partitions;
  }

  static async open(partitions = 2): Promise<World> {
    const directory = await mkdtemp(join(tmpdir(), 'millrace-ledger-'));
    const engine = openChdb({ directory: join(directory, 'store'), readers: 2, writers: 1 });
    const world = new World(directory, engine, partitions);
    await new StoreTables(engine).createStream(TENANT, world.definition);
    await world.begin();
    return world;
  }

  get definition() {
    return parseStream('s', { fields: { n: 'int64' }, partitions: this.partitions });
  }

  /** Everything anew but the engine, whose tables are emptied. */
  async begin(startMs = T0): Promise<void> {
    await this.catalog?.close();
    this.clock = new ManualClock(startMs);
    this.catalog = await openCatalog(':memory:', this.clock);
    await this.catalog.put(TENANT, this.definition);
    this.log = createMemoryLog({ clock: this.clock, ids: countingIds(), segmentBytes: 200 });
    this.applied = Array.from({ length: this.partitions }, () => 0);
    this.told = [];
    this.restart();
    for (const table of [eventsTable, quarantineTable, discardedTable])
      await this.engine.execute({ text: `TRUNCATE TABLE ${table(TENANT, STREAM)}` });
  }

  restart(): RunningLedger {
    this.ledger = createLedger({
      catalog: this.catalog,
      log: this.log,
      engine: this.engine,
      clock: this.clock,
      ingest: this.ingest,
      tenants: fixedTenants(TENANT),
      logger: {
        error: (details) => this.told.push({ level: 'error', details: details as Told['details'] }),
        info: (details) => this.told.push({ level: 'info', details: details as Told['details'] }),
      },
    });
    return this.ledger;
  }

  get ingest(): Ingest {
    return {
      state: ({ partition }) => ({
        applied: (this.applied[partition] ?? 0) as Offset,
        watermarkMs: undefined,
        totals: {
          stored: 0,
          duplicates: 0,
          quarantined: 0,
          lateDropped: 0,
          late: 0,
          withUnknownFields: 0,
        },
        appliedReceivedAtMs: 0,
      }),
      applied: () => Promise.reject(new Error('not here')),
      exclusively: (_tenant, _stream, work) => {
        this.exclusive += 1;
        return work();
      },
      rewriting: (_tenant, _stream, work) => work(),
      contents: () => 0,
    };
  }

  /** Appends `count` records now; the rows they should become, all stored. */
  async arrive(partition: number, count: number): Promise<Row[]> {
    const line = Buffer.from('{}\n');
    const chunks = Array.from({ length: count }, () => line);
    const { baseOffset, loggedAtMs } = await this.log.append(keyOf(partition), {
      chunks,
      count,
      bytes: count * line.byteLength,
    });
    return chunks.map((_, index) => ({
      partition,
      offset: baseOffset + index,
      receivedMs: loggedAtMs,
      outcome: 'stored',
    }));
  }

  applyAll(): void {
    this.applied = this.applied.map((_, partition) => this.log.state(keyOf(partition)).end);
  }

  async insert(rows: readonly Row[]): Promise<void> {
    const of = async (outcomes: readonly Outcome[], table: string, more: string, select: string) => {
      const some = rows.filter(({ outcome }) => outcomes.includes(outcome));
      if (some.length === 0) return;
      await this.engine.execute({
        text: `INSERT INTO ${table} (_partition, _offset, _received, _id${more}) SELECT r.1, r.2, fromUnixTimestamp64Milli(toInt64(r.3), 'UTC'), r.4 ${select} FROM (SELECT arrayJoin(arrayZip({p:Array(UInt16)}, {o:Array(UInt64)}, {r:Array(Int64)}, {i:Array(String)}, {w:Array(String)}, {t:Array(Int64)})) AS r)`,
        params: {
          p: some.map((row) => row.partition),
          o: some.map((row) => row.offset),
          r: some.map((row) => row.receivedMs),
          i: some.map((row) => row.id ?? `${row.partition}/${row.offset}`),
          w: some.map((row) => row.outcome),
          t: some.map((row) => row.timeMs ?? row.receivedMs),
        },
      });
    };
    const hash = ', _time, _id_hash';
    const hashOf =
      ", fromUnixTimestamp64Milli(toInt64(r.6), 'UTC'), reinterpretAsUInt128(sipHash128Reference(r.4))";
    await of(['stored'], eventsTable(TENANT, STREAM), hash, hashOf);
    await of(['quarantined'], quarantineTable(TENANT, STREAM), ', reason, field', ", 'wrong type', 'n'");
    await of(['duplicate', 'late'], discardedTable(TENANT, STREAM), `${hash}, why`, `${hashOf}, r.5`);
  }

  async remove(row: Pick<Row, 'partition' | 'offset'>, table = eventsTable): Promise<void> {
    await this.engine.execute({
      text: `DELETE FROM ${table(TENANT, STREAM)} WHERE _partition = {p:UInt16} AND _offset = {o:UInt64} SETTINGS lightweight_deletes_sync = 2`,
      params: { p: row.partition, o: row.offset },
    });
  }

  /** Rounds until nothing is left to do at once. */
  async settle(): Promise<void> {
    while (await this.ledger.round());
  }

  async close(): Promise<void> {
    await this.ledger.stop();
    await this.engine.close();
    await this.catalog.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
