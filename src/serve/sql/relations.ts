/** Streams and rollups as a question in SQL sees them: relations by their names. */
import type { TenantId } from '../../base/brand.ts';
import type { Catalog, Versioned } from '../../catalog/port.ts';
import {
  columnOf,
  fieldOf,
  type Measure,
  type RollupDefinition,
  type StreamDefinition,
} from '../../define/model.ts';
import type { Relation } from '../../sql/index.ts';
import { COUNT_STATE, eventsTable, quoteIdentifier, rollupTable, stateColumns } from '../../store/index.ts';

const EVENT_COLUMNS = ['_id', '_time', '_received', '_partition', '_offset', '_extra'];

/** What stands behind the name of a stream or rollup; undefined when there is none. A stream comes first. */
export function relationOf(
  catalog: Pick<Catalog, 'stream' | 'rollup'>,
  tenant: TenantId,
  name: string,
): Relation | undefined {
  const stream = catalog.stream(tenant, name);
  if (stream !== undefined) {
    const table = eventsTable(tenant, stream.definition.name);
    return { sql: eventsSql(table, stream.definition), tables: [unquoted(table)] };
  }
  const rollup = catalog.rollup(tenant, name);
  const source = rollup === undefined ? undefined : catalog.stream(tenant, rollup.definition.from);
  if (rollup === undefined || source === undefined) return undefined;
  const table = rollupTable(tenant, rollup.definition.name, rollup.version);
  return { sql: rollupSql(table, source.definition, rollup), tables: [unquoted(table)] };
}

const unquoted = (table: string): string => table.replaceAll('`', '');

function eventsSql(table: string, stream: StreamDefinition): string {
  const columns = [
    ...stream.fields.map((field) => named(columnOf(field), field.name)),
    ...EVENT_COLUMNS.map(quoteIdentifier),
  ];
  return `SELECT ${columns.join(', ')} FROM ${table}`;
}

/** One row for each bucket and combination of dimensions: `_time` (start of the bucket), dimensions, measures. */
function rollupSql(
  table: string,
  stream: StreamDefinition,
  { definition }: Versioned<RollupDefinition>,
): string {
  const columns = definition.by.map((name) => columnOf(fieldOf(stream, name)!));
  const dimensions = definition.by.map((name, index) => named(columns[index]!, name));
  const measures = definition.measures.map(
    ({ name, measure }) => `${measureSql(stream, measure)} AS ${quoteIdentifier(name)}`,
  );
  const selected = ["toDateTime64(_bucket, 3, 'UTC') AS _time", ...dimensions, ...measures];
  return `SELECT ${selected.join(', ')} FROM ${table} WHERE _tier = ${definition.everySeconds} GROUP BY ${['_bucket', ...columns.map(quoteIdentifier)].join(', ')}`;
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
