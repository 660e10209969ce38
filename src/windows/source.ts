/** The events that a window counts, as a relation of the engine. */
import type { TenantId } from '../base/brand.ts';
import { columnOf, type StreamDefinition, type WindowDefinition } from '../define/model.ts';
import { Parameters, withPast } from '../stats/index.ts';
import { eventsTable, quoteIdentifier, type Statement } from '../store/index.ts';
import { joinedKeys, type KeysOf, keyFields } from './keys.ts';
import { renamedColumns } from './result-stream.ts';

/** A window with what it stands on, ready to be asked about. */
export interface Prepared extends KeysOf {
  readonly tenant: TenantId;
  /** By table: changes of rows behind this one are not seen. Absent: all are. */
  readonly pins?: Readonly<Record<string, number>> | undefined;
  /** The checked condition, or undefined. */
  readonly where: string | undefined;
  /** The stream of its results; undefined before there is one. */
  readonly results?: StreamDefinition | undefined;
}

/** The moments that events of processing time are given: those below `bounds[i][partition]` and no earlier one, `timesMs[i]`. */
export interface ProcessingMarks {
  readonly timesMs: readonly number[];
  readonly bounds: readonly (readonly number[])[];
}

export interface Reach {
  /** By partition: only events below. */
  readonly until: readonly number[];
  /** By partition: events from here on are new. */
  readonly since: readonly number[];
  /** `[from, to)` of the window's time; absent: unbounded. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  /** New events arrived at this time or later. */
  readonly arrivedFromMs?: number | undefined;
  readonly onlyNew?: boolean;
  readonly marks?: ProcessingMarks | undefined;
}

const OFFSETS = 'Array(UInt64)';
const moment = (parameters: Parameters, ms: number): string =>
  `fromUnixTimestamp64Milli(${parameters.bind('Int64', Math.trunc(ms))}, 'UTC')`;

/** What the engine can hold; a bound beyond is none. */
const MOMENT_MS_MIN = -2_208_988_800_000;
const MOMENT_MS_MAX = 10_413_791_999_999;

export const isNew = (parameters: Parameters, since: readonly number[]): string =>
  `_offset >= arrayElement(${parameters.bind(OFFSETS, since)}, _partition + 1)`;

/**
 * `SELECT columns FROM … WHERE …`: columns see the stream's columns and fields, `_t` (the event's moment in the window's
 * time, epoch ms), `_kh` (the hash of its key), `_offset`, `_partition`.
 */
export function eventsSql(
  prepared: Prepared,
  reach: Reach,
  parameters: Parameters,
  columns: string,
  and: readonly string[] = [],
): string {
  const { tenant, stream, window, where, pins } = prepared;
  const time = timeSql(window, reach, parameters);
  const conditions = [`_offset < arrayElement(${parameters.bind(OFFSETS, reach.until)}, _partition + 1)`];
  if (reach.onlyNew) conditions.push(isNew(parameters, reach.since));
  if (reach.onlyNew && reach.arrivedFromMs !== undefined && reach.arrivedFromMs > MOMENT_MS_MIN)
    conditions.push(`_received >= ${moment(parameters, reach.arrivedFromMs)}`);
  const { fromMs, toMs } = reach;
  if (fromMs !== undefined && fromMs > MOMENT_MS_MIN)
    conditions.push(
      time.column
        ? `${time.column} >= ${moment(parameters, fromMs)}`
        : `_t >= ${parameters.bind('Int64', fromMs)}`,
    );
  if (toMs !== undefined && toMs < MOMENT_MS_MAX)
    conditions.push(
      time.column ? `${time.column} < ${moment(parameters, toMs)}` : `_t < ${parameters.bind('Int64', toMs)}`,
    );
  if (!time.column) conditions.push('_t > 0');
  const joined = joinedKeys(prepared);
  const keys = keyFields(prepared).map((field) => quoteIdentifier(columnOf(field)));
  const hash =
    keys.length === 0 ? "''" : `lower(hex(sipHash128Reference(toJSONString(tuple(${keys.join(', ')})))))`;
  const given = ['*', ...renamedColumns(stream), `${time.sql} AS _t`].join(', ');
  const rows = `SELECT ${given} FROM ${eventsTable(tenant, stream.name)} WHERE ${conditions.join(' AND ')}`;
  const outer = [...(where === undefined ? [] : [`(${where})`]), ...and];
  if (joined.length === 0)
    return `SELECT ${columns} FROM (SELECT *, ${hash} AS _kh FROM (${rows})) AS event${outer.length === 0 ? '' : ` WHERE ${outer.join(' AND ')}`}`;
  const fields = joined.map(([, field]) => field);
  const named = joined.map(
    ([name, { name: of }]) => `${quoteIdentifier(`d.${of}`)} AS ${quoteIdentifier(name)}`,
  );
  const past = `SELECT *, ${named.join(', ')} FROM (${withPast(tenant, fields, rows, (table) => pins?.[table])})`;
  return `SELECT ${columns} FROM (SELECT *, ${hash} AS _kh FROM (${past})) AS event${outer.length === 0 ? '' : ` WHERE ${outer.join(' AND ')}`}`;
}

function timeSql(
  { time }: WindowDefinition,
  { marks }: Reach,
  parameters: Parameters,
): { readonly sql: string; readonly column?: string } {
  if (time === 'event') return { sql: 'toUnixTimestamp64Milli(_time)', column: '_time' };
  if (time === 'ingestion') return { sql: 'toUnixTimestamp64Milli(_received)', column: '_received' };
  const { timesMs = [], bounds = [] } = marks ?? {};
  const partitions = Math.max(1, ...bounds.map((one) => one.length));
  // One array for each mark, laid out one behind another: parameters hold no arrays of arrays.
  const flat = bounds.flatMap((one) => Array.from({ length: partitions }, (_, index) => one[index] ?? 0));
  const all = parameters.bind(OFFSETS, flat);
  const times = parameters.bind('Array(Int64)', timesMs);
  return {
    sql: `arrayElement(${times}, arrayFirstIndex(i -> _offset < arrayElement(${all}, i * ${partitions} + _partition + 1), range(${timesMs.length})))`,
  };
}

export const statement = (text: string, parameters: Parameters): Statement => ({
  text,
  params: parameters.values,
});
export { Parameters };
