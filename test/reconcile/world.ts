/** Everything behind a reconciliation, real, over one directory; it can be closed, damaged and opened again. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Offset } from '../../src/base/brand.ts';
import {
  createReconciler,
  type ReconcileReport,
  type ReconcileRequest,
  type Reconciler,
} from '../../src/reconcile/index.ts';
import type { Run } from '../../src/runs/index.ts';
import { type Engine, replayedTable, rollupTable } from '../../src/store/index.ts';
import { ArrivalClock, RewritingWorld, TENANT } from '../support/rewriting-world.ts';

export { TENANT };

export class World extends RewritingWorld {
  readonly told: object[] = [];
  reconciler!: Reconciler;

  static async make(): Promise<World> {
    const directory = await mkdtemp(join(tmpdir(), 'millrace-reconcile-'));
    const world = new World(directory, 's', new ArrivalClock(Date.UTC(2024, 4, 1, 12)));
    await world.open();
    return world;
  }

  /** `around` is put around the engine that reconciliations use. */
  async open(around: (engine: Engine) => Engine = (engine) => engine): Promise<void> {
    const { engine, ...parts } = await this.openParts({
      ...{ segmentBytes: 4_096, dedupBytesMax: 2 ** 26 },
      onError: (details) => void this.told.push('err' in details ? { words: String(details.err) } : details),
    });
    this.reconciler = createReconciler({ ...parts, engine: around(engine) });
    await this.begin();
  }

  async end(): Promise<void> {
    await this.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Appends lines that arrive at once, and resolves when they are applied. */
  async send(lines: readonly (object | string)[], partition = 0, replayed = false): Promise<void> {
    const { baseOffset, count } = await this.append(lines, partition, replayed);
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

  get replayed(): string {
    return replayedTable(TENANT, this.name);
  }
  rollup = (name: string): string => rollupTable(TENANT, name, 1);

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
