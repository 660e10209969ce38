/** The tables behind the definitions: made, widened, filled and dropped. The layout is told in `layout.ts`. */
import type { TenantId } from '../base/brand.ts';
import type { RollupDefinition, StreamDefinition } from '../define/model.ts';
import { columnOf, fieldOf, tiersOf } from '../define/model.ts';
import {
  databaseOf,
  discardedTable,
  eventsTable,
  fieldColumnType,
  periodSeconds,
  quarantineTable,
  replayedTable,
  rollupStates,
  rollupTable,
} from './layout.ts';
import type { Engine } from './port.ts';
import {
  askEvents,
  askRollup,
  CHUNK_EVENTS_MAX,
  type Chunk,
  chunkMark,
  chunkSource,
  cutChunks,
  type Extent,
  extentsStatement,
  type OffsetRanges,
  rangesSource,
  SLOW,
  type TierSums,
} from './rollup-fill.ts';
import { quoteIdentifier, quoteText } from './sql.ts';

/**
 * Parts are fsynced before an insert returns, and those of merges and mutations before they take the place of others; no
 * insert tokens (they can lose a retry).
 */
export const DURABLE =
  'fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1, non_replicated_deduplication_window = 0';

export function createEventsTable(tenant: TenantId, stream: StreamDefinition): string {
  const fields = stream.fields.map(
    (field) => `${quoteIdentifier(columnOf(field))} ${fieldColumnType(field)}`,
  );
  return `CREATE TABLE IF NOT EXISTS ${eventsTable(tenant, stream.name)} (
  ${fields.map((field) => `${field},\n  `).join('')}_id String CODEC(ZSTD(1)),
  _id_hash UInt128,
  _time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  _received DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  _partition UInt16,
  _offset UInt64 CODEC(Delta, ZSTD(1)),
  _extra String,
  INDEX _offset_range (_partition, _offset) TYPE minmax GRANULARITY 16
) ENGINE = MergeTree PARTITION BY toYYYYMMDD(_received) ORDER BY (_time, _partition, _offset)
SETTINGS ${DURABLE}`;
}

export function createQuarantineTable(tenant: TenantId, stream: StreamDefinition): string {
  return `CREATE TABLE IF NOT EXISTS ${quarantineTable(tenant, stream.name)} (
  _partition UInt16,
  _offset UInt64,
  _received DateTime64(3, 'UTC'),
  reason String,
  field String,
  line String CODEC(ZSTD(1)),
  _id String,
  INDEX _offset_range (_partition, _offset) TYPE minmax GRANULARITY 16
) ENGINE = MergeTree PARTITION BY toYYYYMMDD(_received) ORDER BY (_received, _partition, _offset)
SETTINGS ${DURABLE}`;
}

export function createDiscardedTable(tenant: TenantId, stream: StreamDefinition): string {
  return `CREATE TABLE IF NOT EXISTS ${discardedTable(tenant, stream.name)} (
  _partition UInt16,
  _offset UInt64 CODEC(Delta, ZSTD(1)),
  _received DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  _time DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  _id String CODEC(ZSTD(1)),
  _id_hash UInt128,
  why Enum8('duplicate' = 1, 'late' = 2),
  line String CODEC(ZSTD(1)),
  INDEX _offset_range (_partition, _offset) TYPE minmax GRANULARITY 16
) ENGINE = MergeTree PARTITION BY toYYYYMMDD(_received) ORDER BY (_received, _partition, _offset)
SETTINGS ${DURABLE}`;
}

export function createReplayedTable(tenant: TenantId, stream: StreamDefinition): string {
  return `CREATE TABLE IF NOT EXISTS ${replayedTable(tenant, stream.name)} (
  _partition UInt16,
  _offset UInt64 CODEC(Delta, ZSTD(1)),
  run LowCardinality(String),
  to_partition UInt16,
  to_offset UInt64 CODEC(Delta, ZSTD(1))
) ENGINE = MergeTree ORDER BY (_partition, _offset)
SETTINGS ${DURABLE}`;
}

export function createRollupTable(
  tenant: TenantId,
  stream: StreamDefinition,
  rollup: RollupDefinition,
  version: number,
): string {
  const dimensions = rollup.by.map((name) => {
    const field = fieldOf(stream, name);
    if (!field) throw new Error(`stream ${stream.name} has no field ${name}`);
    return `${quoteIdentifier(columnOf(field))} ${fieldColumnType(field)}`;
  });
  const kept = rollupStates(stream, rollup);
  const states = kept.map((state) => `${quoteIdentifier(state.name)} ${state.type}`);
  // Sketches are large: reading a granule of 8192 of them for a few buckets took five times as long as 256.
  const granule = kept.some((state) => state.type.startsWith('AggregateFunction')) ? 256 : 8_192;
  return `CREATE TABLE IF NOT EXISTS ${rollupTable(tenant, rollup.name, version)} (
  _tier UInt32,
  _period Int64,
  ${dimensions.map((dimension) => `${dimension},\n  `).join('')}_bucket Int64,
  ${states.map((state) => `${state},\n  `).join('')}_applied SimpleAggregateFunction(max, UInt64)
) ENGINE = AggregatingMergeTree
ORDER BY (${['_tier', '_period', ...dimensionColumns(stream, rollup).map(quoteIdentifier), '_bucket'].join(', ')})
SETTINGS allow_nullable_key = 1, index_granularity = ${granule}, ${DURABLE}`;
}

/**
 * So few events are grouped once, for every tier by themselves: that is planned in two thirds of the time. Of more, the states of the
 * finest tier are merged into the coarser ones.
 */
const SMALL_EVENTS_MAX = 1_000;

/**
 * The rows that a set of stored events adds to a rollup: every tier's buckets, in the column order of the table.
 * `source` is a relation with the columns of the events table, and at most `events` of them.
 */
export function rollupDelta(
  stream: StreamDefinition,
  rollup: RollupDefinition,
  source: string,
  events = Number.POSITIVE_INFINITY,
): string {
  const dimensions = dimensionColumns(stream, rollup).map(quoteIdentifier);
  const states = rollupStates(stream, rollup);
  const tiers = tiersOf(rollup.everySeconds);
  const finest = rollup.everySeconds;
  const ms = 'toUnixTimestamp64Milli(_time)';
  const bucket = `intDiv(${ms} - positiveModulo(${ms}, ${finest * 1_000}), 1000)`;
  const tier = `arrayJoin([${tiers.map((seconds) => `toUInt32(${seconds})`).join(', ')}]) AS _tier`;
  // Floor division, for buckets may lie before 1970; signed throughout, since the engine's modulo of mixed signs is wrong.
  const span = `toInt64(_tier) * ${periodSeconds(1)}`;
  const period = `toInt64(intDiv(_bucket - positiveModulo(_bucket, ${span}), ${span})) AS _period`;
  const keys = [...dimensions, '_b - positiveModulo(_b, toInt64(_tier)) AS _bucket'];
  const groups = `GROUP BY ${['_tier', ...dimensions, '_bucket'].join(', ')}`;
  if (events <= SMALL_EVENTS_MAX) {
    const made = states.map((state) => `${state.fromEvents} AS ${quoteIdentifier(state.name)}`);
    return `WITH ${bucket} AS _b SELECT ${[tier, period, ...keys, ...made].join(', ')}, toUInt64(0) AS _applied
FROM ${source} ${groups}`;
  }
  const inner = `SELECT ${[...dimensions, `${bucket} AS _b`, ...states.map((state) => `${state.fromEvents} AS ${quoteIdentifier(`s.${state.name}`)}`)].join(', ')}
FROM ${source} GROUP BY ${[...dimensions, '_b'].join(', ')}`;
  const merged = states.map((state) => mergeOf(state.merge, state.name));
  return `SELECT ${['_tier', period, ...keys, ...merged].join(', ')}, toUInt64(0) AS _applied
FROM (SELECT *, ${tier} FROM (${inner}))
${groups}`;
}

/** `merge` names the state's column; the delta's inner query calls it `s.COLUMN` to keep it apart from the fields. */
const mergeOf = (merge: string, name: string): string =>
  `${merge.replace(quoteIdentifier(name), quoteIdentifier(`s.${name}`))} AS ${quoteIdentifier(name)}`;

/** The row that carries the applied mark of one log partition, in the same column order. */
export function markRow(
  stream: StreamDefinition,
  rollup: RollupDefinition,
  partition: number,
  applied: number,
): string {
  const dimensions = rollup.by.map((name) => {
    const field = fieldOf(stream, name)!;
    return `defaultValueOfTypeName(${quoteText(fieldColumnType(field))})`;
  });
  const states = rollupStates(stream, rollup).map(
    (state) => `defaultValueOfTypeName(${quoteText(state.type)})`,
  );
  return `SELECT ${['toUInt32(0)', 'toInt64(0)', ...dimensions, `toInt64(${partition})`, ...states, `toUInt64(${applied})`].join(', ')}`;
}

const dimensionColumns = (stream: StreamDefinition, rollup: RollupDefinition): string[] =>
  rollup.by.map((name) => columnOf(fieldOf(stream, name)!));

/** The applied mark of each log partition in a rollup's table. */
export const rollupMarks = (table: string): string =>
  `SELECT _bucket AS partition, max(_applied) AS applied FROM ${table} WHERE _tier = 0 AND _bucket >= 0 GROUP BY _bucket`;

export class StoreTables {
  readonly #engine: Engine;
  readonly #chunkEvents: number;

  constructor(engine: Engine, { chunkEvents = CHUNK_EVENTS_MAX }: { readonly chunkEvents?: number } = {}) {
    this.#engine = engine;
    this.#chunkEvents = chunkEvents;
  }

  /** Tables that are there stay: a start finds them all, or those that a process made before it died. */
  async createStream(tenant: TenantId, stream: StreamDefinition): Promise<void> {
    const wanted = new Map([
      [`events_${stream.name}`, createEventsTable(tenant, stream)],
      [`quarantine_${stream.name}`, createQuarantineTable(tenant, stream)],
      [`discarded_${stream.name}`, createDiscardedTable(tenant, stream)],
      [`replayed_${stream.name}`, createReplayedTable(tenant, stream)],
    ]);
    const found = await this.#engine.rows<{ table: string; ids: string | number }>({
      text: "SELECT table, countIf(name = '_id') AS ids FROM system.columns WHERE database = {database:String} AND table IN {tables:Array(String)} GROUP BY table",
      params: { database: `t_${tenant}`, tables: [...wanted.keys()] },
    });
    if (found.length === 0) await this.#run(`CREATE DATABASE IF NOT EXISTS ${databaseOf(tenant)}`);
    for (const [name, statement] of wanted) {
      if (!found.some(({ table }) => table === name)) await this.#run(statement);
    }
    // A directory of the first version has a quarantine without ids.
    if (found.some(({ table, ids }) => table === `quarantine_${stream.name}` && Number(ids) === 0)) {
      await this.#run(
        `ALTER TABLE ${quarantineTable(tenant, stream.name)} ADD COLUMN IF NOT EXISTS _id String`,
      );
    }
  }

  /** At once, whatever is stored: older parts are read as what they will be, and rewritten by and by. */
  async widenStream(tenant: TenantId, previous: StreamDefinition, next: StreamDefinition): Promise<void> {
    const held = new Map(previous.fields.map((field) => [columnOf(field), fieldColumnType(field)]));
    const changes = next.fields.flatMap((field) => {
      const column = quoteIdentifier(columnOf(field));
      const before = held.get(columnOf(field));
      const type = fieldColumnType(field);
      if (before === undefined) {
        return `ADD COLUMN IF NOT EXISTS ${column} ${fieldColumnType({ ...field, optional: true })}`;
      }
      return before === type ? [] : `MODIFY COLUMN ${column} ${type}`;
    });
    if (changes.length === 0) return;
    await this.#run(
      `ALTER TABLE ${eventsTable(tenant, next.name)} ${changes.join(', ')} SETTINGS alter_sync = 0, mutations_sync = 0`,
    );
  }

  async dropStream(tenant: TenantId, stream: StreamDefinition): Promise<void> {
    await this.#run(`DROP TABLE IF EXISTS ${eventsTable(tenant, stream.name)}`);
    await this.#run(`DROP TABLE IF EXISTS ${quarantineTable(tenant, stream.name)}`);
    await this.#run(`DROP TABLE IF EXISTS ${discardedTable(tenant, stream.name)}`);
    await this.#run(`DROP TABLE IF EXISTS ${replayedTable(tenant, stream.name)}`);
  }

  /** The rollup's table, empty: what a crash has left under this version is nobody's. */
  async makeRollup(
    tenant: TenantId,
    stream: StreamDefinition,
    rollup: RollupDefinition,
    version: number,
  ): Promise<void> {
    await this.dropRollup(tenant, rollup.name, version);
    await this.#run(createRollupTable(tenant, stream, rollup, version));
  }

  /** Cuts the stored events below these offsets (one for each log partition) into chunks. */
  async cutRollup(
    tenant: TenantId,
    stream: StreamDefinition,
    offsets: readonly number[],
  ): Promise<readonly Chunk[]> {
    const rows = await this.#engine.rows<{ [K in keyof Extent]: string | number }>(
      extentsStatement(tenant, stream, offsets),
      SLOW,
    );
    return cutChunks(
      rows.map((row) => ({
        day: Number(row.day),
        partition: Number(row.partition),
        first: Number(row.first),
        last: Number(row.last),
        events: Number(row.events),
      })),
      this.#chunkEvents,
    );
  }

  /** Puts a chunk into the table, whole or not at all. Never while its presence is not known. */
  fillRollup(
    tenant: TenantId,
    stream: StreamDefinition,
    rollup: RollupDefinition,
    version: number,
    number: number,
    chunk: Chunk,
  ): Promise<void> {
    const delta = rollupDelta(stream, rollup, chunkSource(tenant, stream, chunk));
    const mark = markRow(stream, rollup, chunkMark(number), 1);
    return this.#run(`INSERT INTO ${rollupTable(tenant, rollup.name, version)} ${delta} UNION ALL ${mark}`);
  }

  /** Whether a chunk is in the table; asked only while no insert of it is under way. */
  async holdsChunk(tenant: TenantId, rollup: string, version: number, number: number): Promise<boolean> {
    const rows = await this.#engine.rows({
      text: `SELECT 1 AS there FROM ${rollupTable(tenant, rollup, version)} WHERE _tier = 0 AND _bucket = {mark:Int64} LIMIT 1`,
      params: { mark: chunkMark(number) },
    });
    return rows.length > 0;
  }

  sumsOfChunk(
    tenant: TenantId,
    stream: StreamDefinition,
    rollup: RollupDefinition,
    chunk: Chunk,
    signal?: AbortSignal,
  ): Promise<TierSums> {
    const source = chunkSource(tenant, stream, chunk);
    return askEvents(this.#engine, dimensionColumns(stream, rollup), rollup, source, signal);
  }

  sumsOfRanges(
    tenant: TenantId,
    stream: StreamDefinition,
    rollup: RollupDefinition,
    ranges: OffsetRanges,
    signal?: AbortSignal,
  ): Promise<TierSums> {
    const source = rangesSource(tenant, stream, ranges);
    return askEvents(this.#engine, dimensionColumns(stream, rollup), rollup, source, signal);
  }

  sumsOfTable(
    tenant: TenantId,
    stream: StreamDefinition,
    rollup: RollupDefinition,
    version: number,
  ): Promise<TierSums> {
    return askRollup(this.#engine, dimensionColumns(stream, rollup), tenant, rollup.name, version);
  }

  /** Marks the table as complete up to these offsets, one for each log partition. */
  async markRollup(
    tenant: TenantId,
    stream: StreamDefinition,
    rollup: RollupDefinition,
    version: number,
    offsets: readonly number[],
  ): Promise<void> {
    const marks = offsets.map((offset, partition) => markRow(stream, rollup, partition, offset));
    await this.#run(`INSERT INTO ${rollupTable(tenant, rollup.name, version)} ${marks.join(' UNION ALL ')}`);
  }

  /** Makes and fills a rollup at once, from every stored event. Nothing may be ingested meanwhile. */
  async buildRollup(
    tenant: TenantId,
    stream: StreamDefinition,
    rollup: RollupDefinition,
    version: number,
  ): Promise<void> {
    await this.makeRollup(tenant, stream, rollup, version);
    const everything = Array.from({ length: stream.partitions }, () => Number.MAX_SAFE_INTEGER);
    const chunks = await this.cutRollup(tenant, stream, everything);
    for (const [number, chunk] of chunks.entries()) {
      await this.fillRollup(tenant, stream, rollup, version, number, chunk);
    }
  }

  async dropRollup(tenant: TenantId, rollup: string, version: number): Promise<void> {
    await this.#run(`DROP TABLE IF EXISTS ${rollupTable(tenant, rollup, version)}`);
  }

  #run(text: string): Promise<void> {
    return this.#engine.execute({ text });
  }
}
