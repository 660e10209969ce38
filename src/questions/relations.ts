/**
 * Streams, rollups and dimension tables as a question in SQL sees them: relations by their names. A table that keeps its
 * history has one more, NAME_history.
 *
 * A key with row filters sees them through a barrier (visibleRows): nothing that the question computes may be computed
 * for a row that it does not see, or an error would tell of it (a division by zero, a text that is no number).
 */
import type { TenantId } from '../base/brand.ts';
import type { Catalog, Versioned } from '../catalog/port.ts';
import {
  columnOf,
  type Field,
  fieldOf,
  type Measure,
  type RollupDefinition,
  type StreamDefinition,
} from '../define/model.ts';
import type { Relation } from '../sql/index.ts';
import { type FilterSql, type Pins, pinSql, rowFilterSql } from '../stats/index.ts';
import {
  COUNT_STATE,
  dimensionTable,
  eventsTable,
  fieldColumnType,
  quoteIdentifier,
  quoteText,
  rollupStates,
  rollupTable,
  stateColumns,
} from '../store/index.ts';
import { currentRows, historyName, historyRows } from '../tables/index.ts';
import { isFiltered, type Principal, rowFilterOf } from '../tenants/index.ts';

/** Two offsets of one's own rows count everybody else's between them: a key that sees only some rows has no such columns. */
const PLACE_COLUMNS = ['_partition', '_offset'];
const EVENT_COLUMNS = ['_id', '_time', '_received', ...PLACE_COLUMNS, '_extra'];
const PLACELESS_COLUMNS = EVENT_COLUMNS.filter((name) => !PLACE_COLUMNS.includes(name));

/** What a data version holds, as relations. */
export interface PinnedRelations {
  readonly pins: Pins;
  /** Events come in the order of their times and offsets: what depends on their order is the same each time. */
  readonly isOrdered: boolean;
}

/**
 * What stands behind the name of a stream or rollup for this key; undefined when there is none. A stream comes first. A
 * rollup whose dimensions do not hold the fields of the key's filter cannot be cut to its rows, and is none. With `pinned`
 * only what the pins hold is there: events below them, rollups as those events make them, tables as they stood.
 */
export function relationOf(
  catalog: Pick<Catalog, 'stream' | 'rollup' | 'object'>,
  principal: Pick<Principal, 'tenant' | 'rowFilters'>,
  name: string,
  nowMs: number,
  pinned?: PinnedRelations,
): Relation | undefined {
  const { tenant } = principal;
  const stream = catalog.stream(tenant, name);
  if (stream !== undefined) {
    const { definition } = stream;
    const filter = filterOf(principal, definition, nowMs);
    if (filter === undefined) return undefined;
    const table = eventsTable(tenant, definition.name);
    if (pinned !== undefined) return pinnedRelation(table, definition, pinned);
    const rows = filter.sql === undefined ? table : visibleRows(table, definition.fields, filter.sql);
    const own = isFiltered(principal) ? PLACELESS_COLUMNS : EVENT_COLUMNS;
    return { sql: eventsSql(rows, definition, own), tables: [unquoted(table)] };
  }
  return (
    rollupRelation(catalog, principal, name, nowMs, pinned) ??
    tableRelation(catalog, principal, name, pinned?.pins)
  );
}

function rollupRelation(
  catalog: Pick<Catalog, 'stream' | 'rollup'>,
  principal: Pick<Principal, 'tenant' | 'rowFilters'>,
  name: string,
  nowMs: number,
  pinned: PinnedRelations | undefined,
): Relation | undefined {
  const { tenant } = principal;
  const rollup = catalog.rollup(tenant, name);
  const source = rollup === undefined ? undefined : catalog.stream(tenant, rollup.definition.from);
  if (rollup === undefined || source === undefined) return undefined;
  const filter = filterOf(principal, source.definition, nowMs);
  if (filter === undefined) return undefined;
  const { by, everySeconds } = rollup.definition;
  if (!filter.fields.every((field) => by.includes(field.name))) return undefined;
  if (pinned !== undefined) return pinnedRollup(tenant, source.definition, rollup, pinned);
  const table = rollupTable(tenant, rollup.definition.name, rollup.version);
  const dimensions = by.map((one) => fieldOf(source.definition, one)!);
  const rows =
    filter.sql === undefined
      ? table
      : visibleRows(table, dimensions, `_tier = ${everySeconds} AND ${filter.sql}`);
  return { sql: rollupSql(rows, source.definition, rollup), tables: [unquoted(table)] };
}

/** A key that sees only some rows of streams sees none of a table: which of them it may know cannot be told. */
function tableRelation(
  catalog: Pick<Catalog, 'object'>,
  principal: Pick<Principal, 'tenant' | 'rowFilters'>,
  name: string,
  pins: Pins | undefined,
): Relation | undefined {
  if (isFiltered(principal)) return undefined;
  const { tenant } = principal;
  const table = catalog.object(tenant, 'table', name)?.definition;
  // A table without a pin is none.
  const isThere = (of: string): boolean => pins === undefined || pins.tables.has(of);
  const upTo = (of: string) => pins?.tables.get(of);
  if (table && isThere(name)) {
    const sql = currentRows(tenant, table, undefined, undefined, upTo(name));
    return { sql, tables: [unquoted(dimensionTable(tenant, name))] };
  }
  const of = name.endsWith(historyName('')) ? name.slice(0, -historyName('').length) : '';
  const past = catalog.object(tenant, 'table', of)?.definition;
  if (!past?.history || !isThere(of)) return undefined;
  return { sql: historyRows(tenant, past, upTo(of)), tables: [unquoted(dimensionTable(tenant, of))] };
}

/** Only for askers without a filter: those of reports. A stream without a pin is none. */
function pinnedRelation(
  table: string,
  stream: StreamDefinition,
  pinned: PinnedRelations,
): Relation | undefined {
  const rows = pinnedRows(table, stream, pinned);
  if (rows === undefined) return undefined;
  return { sql: eventsSql(rows, stream, EVENT_COLUMNS), tables: [unquoted(table)] };
}

function pinnedRows(
  table: string,
  { name }: StreamDefinition,
  { pins, isOrdered }: PinnedRelations,
): string | undefined {
  const pin = pins.streams.get(name);
  if (pin === undefined) return undefined;
  return `(SELECT * FROM ${table} WHERE ${pinSql(pin)}${isOrdered ? ' ORDER BY _time, _partition, _offset' : ''})`;
}

/** A rollup knows no offsets: its rows are made of the events again, as they were made at first. */
function pinnedRollup(
  tenant: TenantId,
  stream: StreamDefinition,
  rollup: Versioned<RollupDefinition>,
  pinned: PinnedRelations,
): Relation | undefined {
  const table = eventsTable(tenant, stream.name);
  const events = pinnedRows(table, stream, pinned);
  if (events === undefined) return undefined;
  const { by, everySeconds } = rollup.definition;
  const columns = by.map((name) => quoteIdentifier(columnOf(fieldOf(stream, name)!)));
  const states = rollupStates(stream, rollup.definition).map(
    ({ name, fromEvents }) => `${fromEvents} AS ${quoteIdentifier(name)}`,
  );
  const bucket = `intDiv(toUnixTimestamp64Milli(_time) - positiveModulo(toUnixTimestamp64Milli(_time), ${everySeconds * 1_000}), 1000) AS _bucket`;
  const rows = `(SELECT ${[`toUInt32(${everySeconds}) AS _tier`, bucket, ...columns, ...states].join(', ')} FROM ${events} GROUP BY ${['_bucket', ...columns].join(', ')})`;
  return { sql: rollupSql(rows, stream, rollup), tables: [unquoted(table)] };
}

function filterOf(
  principal: Pick<Principal, 'rowFilters'>,
  stream: StreamDefinition,
  nowMs: number,
): FilterSql | undefined {
  const written = rowFilterOf(principal, stream.name);
  return written === undefined ? undefined : rowFilterSql(written, stream, nowMs);
}

/** More rows than there can be: no condition and no expression is moved from above a LIMIT to below it. */
const EVERY_ROW = '9223372036854775807';

/**
 * The rows of a table that hold a condition, as a subquery. Columns keep their names, since a name given in the same
 * SELECT would stand for itself in the condition. Below the barrier there is only the condition. Columns of low
 * cardinality are written out: the engine casts their whole dictionary, in which values of other rows stand.
 */
function visibleRows(table: string, fields: readonly Field[], condition: string): string {
  const dictionaries = fields.flatMap((field) => {
    const plain = /^LowCardinality\((.*)\)$/.exec(fieldColumnType(field))?.[1];
    const column = quoteIdentifier(columnOf(field));
    return plain === undefined ? [] : [`CAST(${column}, ${quoteText(plain)}) AS ${column}`];
  });
  const rows = `(SELECT * FROM ${table} WHERE ${condition} LIMIT ${EVERY_ROW})`;
  return dictionaries.length === 0 ? rows : `(SELECT * REPLACE (${dictionaries.join(', ')}) FROM ${rows})`;
}

const unquoted = (table: string): string => table.replaceAll('`', '');

function eventsSql(rows: string, stream: StreamDefinition, own: readonly string[]): string {
  const columns = [
    ...stream.fields.map((field) => named(columnOf(field), field.name)),
    ...own.map(quoteIdentifier),
  ];
  return `SELECT ${columns.join(', ')} FROM ${rows}`;
}

/** One row for each bucket and combination of dimensions: `_time` (start of the bucket), dimensions, measures. */
function rollupSql(
  rows: string,
  stream: StreamDefinition,
  { definition }: Versioned<RollupDefinition>,
): string {
  const columns = definition.by.map((name) => columnOf(fieldOf(stream, name)!));
  const dimensions = definition.by.map((name, index) => named(columns[index]!, name));
  const measures = definition.measures.map(
    ({ name, measure }) => `${measureSql(stream, measure)} AS ${quoteIdentifier(name)}`,
  );
  const selected = ["toDateTime64(_bucket, 3, 'UTC') AS _time", ...dimensions, ...measures];
  return `SELECT ${selected.join(', ')} FROM ${rows} WHERE _tier = ${definition.everySeconds} GROUP BY ${['_bucket', ...columns.map(quoteIdentifier)].join(', ')}`;
}

/** A field that was renamed lies in the column that it was made with. */
const named = (column: string, name: string): string =>
  column === name ? quoteIdentifier(name) : `${quoteIdentifier(column)} AS ${quoteIdentifier(name)}`;

function measureSql(stream: StreamDefinition, measure: Measure): string {
  const [state = COUNT_STATE, beside] = stateColumns(stream, measure);
  if (measure.fn === 'avg' && beside !== undefined) {
    const decimal = fieldOf(stream, measure.field)?.type.kind === 'decimal';
    return `${decimal ? `toFloat64(${state.merge})` : state.merge} / nullIf(${beside.merge}, 0)`;
  }
  if (measure.fn === 'top') {
    return `arraySlice(arraySort(x -> (-toInt64(x.2), x.1), finalizeAggregation(${state.merge})), 1, ${measure.k})`;
  }
  return state.type.startsWith('Simple') ? state.merge : `finalizeAggregation(${state.merge})`;
}
