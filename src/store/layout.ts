/**
 * How a tenant's streams and rollups lie in the engine. Each table belongs to one tenant: the database
 * carries the tenant's name.
 *
 *   t_TENANT.events_STREAM        one row per stored event, PARTITION BY day of arrival, ORDER BY (_time, _partition, _offset)
 *     FIELD …                     the declared fields, typed (columnType); optional ones Nullable. A field that was
 *                                 renamed stays in the column that it was made with (columnOf); below, F is the column
 *     _id            String       the event id as text (the field's value, the sender's `_id`, or the generated uuid)
 *     _id_hash       UInt128      sipHash128Reference of _id
 *     _time          DateTime64(3,'UTC')   event time
 *     _received      DateTime64(3,'UTC')   time of arrival at the log
 *     _partition     UInt16       log partition
 *     _offset        UInt64       log offset
 *     _extra         String       JSON object of the fields that the stream does not declare, or ''
 *
 *   t_TENANT.quarantine_STREAM    PARTITION BY day of arrival, ORDER BY (_received, _partition, _offset)
 *     _partition, _offset, _received, reason String, field String, line String
 *     _id            String       the event id, '' when it could not be told
 *
 *   t_TENANT.discarded_STREAM     PARTITION BY day of arrival, ORDER BY (_received, _partition, _offset)
 *     in the log, deliberately not counted. Every applied offset is in exactly one of events, quarantine, discarded.
 *     _partition, _offset, _received, _time, _id, _id_hash   as in the events table
 *     why            Enum8        'duplicate': its id was stored before; 'late': the stream drops late events
 *     line           String       of a late one, the original; '' of a duplicate
 *
 *   t_TENANT.replayed_STREAM      ORDER BY (_partition, _offset)
 *     records that were quarantined, or dropped for lateness, and appended to the log again; they stay where they are, and
 *     their copy counts
 *     _partition, _offset           of the record
 *     run            String         the run that replayed it
 *     to_partition UInt16, to_offset UInt64    of its copy
 *
 *   t_TENANT.rollup_NAME_vVERSION  AggregatingMergeTree, one partition, ORDER BY (_tier, _period, DIMENSION …, _bucket)
 *     _tier    UInt32             width of the bucket in seconds; 0 is the row that carries the applied mark
 *     _period  Int64              floor(_bucket / (_tier * 1440)): keeps neighbours in time together
 *     _bucket  Int64              start of the bucket, epoch seconds; on a row of _tier 0 the log partition, or
 *                                 -(1 + n): the n-th chunk of stored events that the table was filled from is in it
 *     DIMENSION …                 the dimensions' columns, typed as in the raw table
 *     _count   SimpleAggregateFunction(sum, UInt64)     events in the bucket
 *     sum.F    SimpleAggregateFunction(sum, T)          T: see sumType
 *     n.F      SimpleAggregateFunction(sum, UInt64)     events where F is not null (kept beside sum.F)
 *     min.F, max.F   SimpleAggregateFunction(min|max, Nullable(T))
 *     unique.F       AggregateFunction(uniqCombined64(14), T)
 *     quantile.F     AggregateFunction(quantilesDD(0.01, 0.5), Float64)   merges exactly; relative error 1 %; levels are chosen when asked
 *     top.F          AggregateFunction(approx_top_k(10 K, 10 K), String)   cut to K when asked, after equal counts are put in order
 *     _applied SimpleAggregateFunction(max, UInt64)     on the row of _tier 0: log offsets below it are in this table
 *
 *   t_TENANT.dimension_NAME       one partition: MergeTree ORDER BY (KEY, _rank, _seq); without history
 *                                 ReplacingMergeTree(_seq) ORDER BY (KEY, _rank)
 *     rows of a dimension table, one for each version. What stands is the first row of a key in the order (_rank, -_seq),
 *     whether or not the engine has merged what was replaced: its merges only give room back.
 *     KEY            the key, typed as in a stream
 *     FIELD …        the other fields, all Nullable (arrays are empty instead)
 *     _valid_from    DateTime64(3,'UTC')   from when on the version is valid; 1970-01-01 in a table without history
 *     _rank          Int64                 -(_valid_from in ms): the newest version of a key comes first
 *     _deleted       Bool                  from then on there is no such row
 *     _seq           UInt64                number of the change of the table that wrote it, from 1
 */
import type { TenantId } from '../base/brand.ts';
import type { Field, FieldType, Measure, RollupDefinition, StreamDefinition } from '../define/model.ts';
import { columnOf, fieldOf } from '../define/model.ts';
import { quoteIdentifier, quoteText } from './sql.ts';

export const databaseOf = (tenant: TenantId): string => quoteIdentifier(`t_${tenant}`);
const tableOf = (tenant: TenantId, table: string): string =>
  `${databaseOf(tenant)}.${quoteIdentifier(table)}`;
export const eventsTable = (tenant: TenantId, stream: string): string => tableOf(tenant, `events_${stream}`);
export const quarantineTable = (tenant: TenantId, stream: string): string =>
  tableOf(tenant, `quarantine_${stream}`);
export const discardedTable = (tenant: TenantId, stream: string): string =>
  tableOf(tenant, `discarded_${stream}`);
export const replayedTable = (tenant: TenantId, stream: string): string =>
  tableOf(tenant, `replayed_${stream}`);
export const dimensionTable = (tenant: TenantId, table: string): string =>
  tableOf(tenant, `dimension_${table}`);
/** A changed rollup is built beside the one that stands, so its table carries the version. */
export const rollupTable = (tenant: TenantId, rollup: string, version: number): string =>
  tableOf(tenant, `rollup_${rollup}_v${version}`);

/** `_period` of a bucket: ties the buckets of one tier that lie near in time, before the dimensions sort them. */
export const periodSeconds = (tierSeconds: number): number => tierSeconds * 1_440;
/** Of the bucket of the tier that begins at the second. */
export const periodOf = (tierSeconds: number, second: number): number =>
  Math.floor(second / periodSeconds(tierSeconds));
/** SQL: rows of the tier in the periods of `[from, to)`, in seconds. It says nothing of `_bucket`, and is what prunes. */
export const inPeriodsSql = (tierSeconds: number, from: number, to: number): string =>
  `(_tier = ${tierSeconds} AND _period >= ${periodOf(tierSeconds, from)} AND _period <= ${periodOf(tierSeconds, to - 1)})`;

/** The engine's type of a field's values, without nullability. */
export function columnType(type: FieldType): string {
  switch (type.kind) {
    case 'bool':
      return 'Bool';
    case 'int32':
      return 'Int32';
    case 'int64':
      return 'Int64';
    case 'uint64':
      return 'UInt64';
    case 'float64':
      return 'Float64';
    case 'decimal':
      return `Decimal(${type.precision}, ${type.scale})`;
    case 'enum':
      return 'LowCardinality(String)';
    case 'timestamp':
      return "DateTime64(3, 'UTC')";
    case 'uuid':
      return 'UUID';
    case 'ip':
      return 'IPv6';
    case 'string':
    case 'json':
      return 'String';
    case 'array':
      return `Array(${type.of.kind === 'enum' ? 'String' : columnType(type.of)})`;
  }
}

/** The type of a field's column: optional fields are Nullable (arrays are empty instead). */
export function fieldColumnType(field: Field): string {
  const type = columnType(field.type);
  if (!field.optional || field.type.kind === 'array') return type;
  return field.type.kind === 'enum' ? 'LowCardinality(Nullable(String))' : `Nullable(${type})`;
}

/** Digits of the number of events that are added up: more than any store holds. */
const EVENTS_DIGITS = 18;

/** Sums that cannot overflow: 64-bit integers add up in 128 bits, decimals in 38 digits where that holds them, else in 76. */
export function sumType(type: FieldType): string {
  switch (type.kind) {
    case 'float64':
      return 'Float64';
    case 'decimal':
      return `Decimal(${type.precision + EVENTS_DIGITS <= 38 ? 38 : 76}, ${type.scale})`;
    default:
      return 'Int128';
  }
}

/** One state column of a rollup: its type, how a group of events makes it, and the suffix that merges it. */
export interface StateColumn {
  /** Unquoted column name, for example `sum.price`. */
  readonly name: string;
  readonly type: string;
  /** Aggregate expression over rows of the raw table that yields the state. */
  readonly fromEvents: string;
  /**
   * The state of a single event that was typed by this definition, as an expression over its row: what is not optional is not
   * null. Absent for sketches.
   */
  readonly fromEvent?: string;
  /** Aggregate expression that merges states of this column into one state. */
  readonly merge: string;
}

const simple = (
  name: string,
  aggregate: 'sum' | 'min' | 'max',
  type: string,
  input: string,
  fromEvent = input,
): StateColumn => ({
  name,
  type: `SimpleAggregateFunction(${aggregate}, ${type})`,
  fromEvents: `${aggregate}(${input})`,
  fromEvent,
  merge: `${aggregate}(${quoteIdentifier(name)})`,
});

/**
 * Counters of a top-k sketch for each value asked for: exact while a field has no more values than counters. All of
 * them are handed out: the engine cuts a shorter list before equal counts can be put in order, so which of them make
 * the last places would depend on how events were grouped.
 */
const TOP_COUNTERS = 10;

/** A sketch over the values that are there. `StateIf` keeps the plain state's type, so that levels can be chosen when asked. */
const sketch = (name: string, fn: string, type: string, column: string, input: string): StateColumn => ({
  name,
  type: `AggregateFunction(${fn}, ${type})`,
  fromEvents: `${fn.replace(/^\w+/, '$&StateIf')}(${input}, isNotNull(${column}))`,
  merge: `${fn.replace(/^\w+/, '$&MergeState')}(${quoteIdentifier(name)})`,
});

export const COUNT_STATE: StateColumn = simple('_count', 'sum', 'UInt64', 'toUInt64(1)');

/** By the stream's definition, which never changes, and the measure: every question needs some of them. */
const statesOf = new WeakMap<StreamDefinition, Map<string, readonly StateColumn[]>>();

/** The states that a measure needs. Two measures that need the same state share it by its name. */
export function stateColumns(stream: StreamDefinition, measure: Measure): readonly StateColumn[] {
  if (measure.fn === 'count') return [];
  const known = statesOf.get(stream) ?? new Map<string, readonly StateColumn[]>();
  if (known.size === 0) statesOf.set(stream, known);
  const key =
    measure.fn === 'top' ? `${measure.fn}${measure.k} ${measure.field}` : `${measure.fn} ${measure.field}`;
  let columns = known.get(key);
  if (!columns) {
    columns = columnsOf(stream, measure);
    known.set(key, columns);
  }
  return columns;
}

function columnsOf(
  stream: StreamDefinition,
  measure: Exclude<Measure, { readonly fn: 'count' }>,
): readonly StateColumn[] {
  const field = fieldOf(stream, measure.field);
  if (!field) throw new Error(`stream ${stream.name} has no field ${measure.field}`);
  const name = columnOf(field);
  const column = quoteIdentifier(name);
  const type = columnType(field.type);
  switch (measure.fn) {
    case 'sum':
    case 'avg': {
      const sum = sumType(field.type);
      const cast = `CAST(${column}, ${quoteText(field.optional ? `Nullable(${sum})` : sum)})`;
      const [value, isThere] = [
        `ifNull(${cast}, CAST(0, ${quoteText(sum)}))`,
        `toUInt64(isNotNull(${column}))`,
      ];
      return [
        simple(`sum.${name}`, 'sum', sum, value, field.optional ? value : cast),
        simple(`n.${name}`, 'sum', 'UInt64', isThere, field.optional ? isThere : 'toUInt64(1)'),
      ];
    }
    case 'min':
    case 'max': {
      const plain = type.replace(/^LowCardinality\((.*)\)$/, '$1');
      return [
        simple(
          `${measure.fn}.${name}`,
          measure.fn,
          `Nullable(${plain})`,
          `CAST(${column}, ${quoteText(`Nullable(${plain})`)})`,
        ),
      ];
    }
    case 'unique':
      return [
        sketch(
          `unique.${name}`,
          'uniqCombined64(14)',
          'String',
          column,
          `toString(assumeNotNull(${column}))`,
        ),
      ];
    case 'quantile':
      return [
        sketch(
          `quantile.${name}`,
          'quantilesDD(0.01, 0.5)',
          'Float64',
          column,
          `toFloat64(assumeNotNull(${column}))`,
        ),
      ];
    case 'top':
      return [
        sketch(
          `top.${name}`,
          `approx_top_k(${measure.k * TOP_COUNTERS}, ${measure.k * TOP_COUNTERS})`,
          'String',
          column,
          `toString(assumeNotNull(${column}))`,
        ),
      ];
  }
}

const rollupStatesOf = new WeakMap<
  RollupDefinition,
  { readonly stream: StreamDefinition; readonly states: readonly StateColumn[] }
>();

/** Every state column of a rollup, `_count` first, each once. */
export function rollupStates(stream: StreamDefinition, rollup: RollupDefinition): readonly StateColumn[] {
  const known = rollupStatesOf.get(rollup);
  if (known?.stream === stream) return known.states;
  const states = new Map<string, StateColumn>([[COUNT_STATE.name, COUNT_STATE]]);
  for (const { measure } of rollup.measures) {
    for (const state of stateColumns(stream, measure)) states.set(state.name, state);
  }
  const all = [...states.values()];
  rollupStatesOf.set(rollup, { stream, states: all });
  return all;
}
