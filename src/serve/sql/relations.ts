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
import { COUNT_STATE, eventsTable, quoteIdentifier, rollupTable, stateColumns } from '../../store/index.ts';

const EVENT_COLUMNS = ['_id', '_time', '_received', '_partition', '_offset', '_extra'];

/** The SELECT behind the name of a stream or rollup; undefined when there is none. A stream comes first. */
export function relationSql(catalog: Catalog, tenant: TenantId, name: string): string | undefined {
  const stream = catalog.stream(tenant, name);
  if (stream !== undefined) return eventsSql(tenant, stream.definition);
  const rollup = catalog.rollup(tenant, name);
  const source = rollup === undefined ? undefined : catalog.stream(tenant, rollup.definition.from);
  return rollup === undefined || source === undefined
    ? undefined
    : rollupSql(tenant, source.definition, rollup);
}

function eventsSql(tenant: TenantId, stream: StreamDefinition): string {
  const columns = [
    ...stream.fields.map((field) => named(columnOf(field), field.name)),
    ...EVENT_COLUMNS.map(quoteIdentifier),
  ];
  return `SELECT ${columns.join(', ')} FROM ${eventsTable(tenant, stream.name)}`;
}

/** One row for each bucket and combination of dimensions: `_time` (start of the bucket), dimensions, measures. */
function rollupSql(
  tenant: TenantId,
  stream: StreamDefinition,
  { definition, version }: Versioned<RollupDefinition>,
): string {
  const columns = definition.by.map((name) => columnOf(fieldOf(stream, name)!));
  const dimensions = definition.by.map((name, index) => named(columns[index]!, name));
  const measures = definition.measures.map(
    ({ name, measure }) => `${measureSql(stream, measure)} AS ${quoteIdentifier(name)}`,
  );
  const selected = ["toDateTime64(_bucket, 3, 'UTC') AS _time", ...dimensions, ...measures];
  return `SELECT ${selected.join(', ')} FROM ${rollupTable(tenant, definition.name, version)} WHERE _tier = ${definition.everySeconds} GROUP BY ${['_bucket', ...columns.map(quoteIdentifier)].join(', ')}`;
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
