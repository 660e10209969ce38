/** A stream with every kind of field that numbers are made of, and a real engine to hold it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TENANT, type Offset, type StreamName } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import type { Versioned } from '../../src/catalog/port.ts';
import type { Field, Measure, RollupDefinition, StreamDefinition } from '../../src/define/model.ts';
import type { IngestState } from '../../src/ingest/port.ts';
import type { PartitionState } from '../../src/log/port.ts';
import { createStats } from '../../src/stats/index.ts';
import {
  type Engine,
  eventsTable,
  fieldColumnType,
  openChdb,
  quoteIdentifier,
  quoteText,
  StoreTables,
} from '../../src/store/index.ts';

const field = (name: string, type: Field['type'], optional = false): Field => ({ name, type, optional });

export const stream: StreamDefinition = {
  kind: 'stream',
  name: 'visits' as StreamName,
  fields: [
    field('id', { kind: 'uint64' }),
    field('at', { kind: 'timestamp' }),
    field('kind', { kind: 'enum', values: ['a', 'b', 'c'] }, true),
    field('city', { kind: 'string' }),
    field('size', { kind: 'int64' }, true),
    field('big', { kind: 'uint64' }),
    field('small', { kind: 'int32' }),
    field('price', { kind: 'decimal', precision: 20, scale: 4 }, true),
    field('score', { kind: 'float64' }, true),
    field('ok', { kind: 'bool' }),
    field('addr', { kind: 'ip' }, true),
    field('seen', { kind: 'timestamp' }, true),
    field('note', { kind: 'json' }, true),
    field('tags', { kind: 'array', of: { kind: 'string' } }),
  ],
  eventId: 'id',
  eventTime: 'at',
  partitionBy: undefined,
  partitions: 1,
  dedupeWithinMs: 86_400_000,
  lateness: undefined,
  futureAllowedMs: 86_400_000,
  retention: { logMs: undefined, hotMs: undefined, coldMs: undefined },
};

export interface Visit {
  readonly id: bigint;
  readonly atMs: number;
  readonly kind: string | null;
  readonly city: string;
  readonly size: bigint | null;
  readonly big: bigint;
  readonly small: number;
  /** In ten-thousandths. */
  readonly price: bigint | null;
  /** In eighths, so that sums in float64 are exact whatever their order. */
  readonly score: number | null;
  readonly ok: boolean;
  readonly addr: string | null;
  readonly seenMs?: number | null;
  readonly note?: string | null;
  readonly tags?: readonly string[];
  readonly extra?: string;
  readonly partition?: number;
}

export const visit = (given: Partial<Visit> & { id: bigint; atMs: number }): Visit => ({
  kind: null,
  city: 'x',
  size: null,
  big: 0n,
  small: 0,
  price: null,
  score: null,
  ok: true,
  addr: null,
  ...given,
});

const MEASURES: readonly Measure[] = [
  { fn: 'count' },
  { fn: 'sum', field: 'size' },
  { fn: 'avg', field: 'price' },
  { fn: 'sum', field: 'big' },
  { fn: 'avg', field: 'score' },
  { fn: 'min', field: 'size' },
  { fn: 'max', field: 'price' },
  { fn: 'max', field: 'big' },
  { fn: 'unique', field: 'city' },
  { fn: 'quantile', field: 'score' },
  { fn: 'top', field: 'city', k: 20 },
];

export const rollup = (
  name: string,
  by: readonly string[],
  everySeconds: number,
  measures: readonly Measure[] = MEASURES,
): RollupDefinition => ({
  kind: 'rollup',
  name,
  from: stream.name,
  by,
  everySeconds,
  measures: measures.map((measure, index) => ({ name: `m${index}`, measure })),
});

export const versioned = <D extends StreamDefinition | RollupDefinition>(definition: D): Versioned<D> => ({
  definition,
  document: {},
  version: 1,
  updatedAtMs: 0,
});

export const decimalText = (units: bigint, scale: number): string => {
  const sign = units < 0n ? '-' : '';
  const digits = String(units < 0n ? -units : units).padStart(scale + 1, '0');
  const fraction = digits.slice(-scale).replace(/0+$/, '');
  return `${sign}${digits.slice(0, -scale)}${fraction === '' ? '' : `.${fraction}`}`;
};

/** All arrive on one day: the events lie in one partition of the table. */
const RECEIVED_MS = Date.UTC(2024, 11, 1);

export class World {
  readonly tenant = DEFAULT_TENANT;
  readonly clock = new ManualClock(Date.UTC(2025, 0, 1));
  logState: PartitionState = { start: 0 as Offset, end: 0 as Offset, bytes: 0, newestAtMs: 0 };
  ingestState: IngestState = {
    applied: 0 as Offset,
    watermarkMs: undefined,
    totals: { stored: 0, duplicates: 0, quarantined: 0, lateDropped: 0, late: 0, withUnknownFields: 0 },
    appliedReceivedAtMs: 0,
  };
  readonly engine: Engine;
  readonly #directory: string;
  #nextOffset = 0;

  private constructor(engine: Engine, directory: string) {
    this.engine = engine;
    this.#directory = directory;
  }

  static async open(): Promise<World> {
    const directory = await mkdtemp(join(tmpdir(), 'millrace-stats-'));
    const world = new World(openChdb({ directory, readers: 4, writers: 1 }), directory);
    await world.tables.createStream(world.tenant, stream);
    return world;
  }

  get tables(): StoreTables {
    return new StoreTables(this.engine);
  }

  async close(): Promise<void> {
    await this.engine.close();
    await rm(this.#directory, { recursive: true, force: true });
  }

  catalog(rollups: readonly RollupDefinition[] = [], definition = stream) {
    return {
      stream: (_tenant: string, name: string) => (name === stream.name ? versioned(definition) : undefined),
      rollups: () => rollups.map(versioned),
      setting: () => undefined,
    };
  }

  stats(rollups: readonly RollupDefinition[] = [], definition = stream) {
    return createStats({
      engine: this.engine,
      catalog: this.catalog(rollups, definition),
      log: { state: () => this.logState },
      ingest: { state: () => this.ingestState },
      clock: this.clock,
    });
  }

  async insert(visits: readonly Visit[]): Promise<void> {
    const lines = visits.map((one) => {
      const offset = this.#nextOffset++;
      const fields = [
        `"id":"${one.id}","at":${one.atMs},"kind":${JSON.stringify(one.kind)},"city":${JSON.stringify(one.city)}`,
        `"size":${one.size},"big":${one.big},"small":${one.small}`,
        `"price":${one.price === null ? null : `"${decimalText(one.price, 4)}"`},"score":${one.score === null ? null : one.score / 8}`,
        `"ok":${one.ok},"addr":${one.addr === null ? null : `"${one.addr}"`},"seen":${one.seenMs ?? null}`,
        `"note":${one.note === undefined || one.note === null ? null : JSON.stringify(one.note)},"tags":${JSON.stringify(one.tags ?? [])}`,
        `"_id":"${one.id}","_time":${one.atMs},"_received":${RECEIVED_MS + offset},"_partition":${one.partition ?? 0},"_offset":${offset}`,
        `"_extra":${JSON.stringify(one.extra ?? '')}`,
      ];
      return `{${fields.join(',')}}`;
    });
    const millis = ['at', 'seen', '_time', '_received'];
    const columns: [string, string][] = [
      ...stream.fields.map((one): [string, string] => [one.name, fieldColumnType(one)]),
      ['_id', 'String'],
      ['_time', 'Int64'],
      ['_received', 'Int64'],
      ['_partition', 'UInt16'],
      ['_offset', 'UInt64'],
      ['_extra', 'String'],
    ];
    const structure = columns.map(([name, type]) =>
      millis.includes(name) ? `${name} Nullable(Int64)` : `${name} ${type}`,
    );
    const select = columns.map(([name]) =>
      millis.includes(name)
        ? `fromUnixTimestamp64Milli(${name === 'seen' ? name : `assumeNotNull(${name})`}, 'UTC')`
        : name,
    );
    const names = columns.map(([name]) => quoteIdentifier(name));
    await this.engine.execute({
      text: `INSERT INTO ${eventsTable(this.tenant, stream.name)} (${names.join(', ')}) SELECT ${select.join(', ')} FROM format(JSONEachRow, ${quoteText(structure.join(', '))}, ${quoteText(lines.join('\n'))}) SETTINGS max_partitions_per_insert_block=0`,
    });
  }
}
