/** What tenants have stored, asked of engine and log. Cheap: sizes are known to both, nothing is read. */
import type { TenantId } from '../base/brand.ts';
import type { Versioned } from '../catalog/port.ts';
import { columnOf, fieldOf, type RollupDefinition, type StreamDefinition, tiersOf } from '../define/model.ts';
import type { Log } from '../log/port.ts';
import { type Engine, quoteIdentifier, rollupTable, type Statement } from '../store/index.ts';

/** Of each tenant that has any: bytes of its tables on disk. */
export async function tableBytes(engine: Pick<Engine, 'rows'>): Promise<ReadonlyMap<string, number>> {
  const rows = await engine.rows<{ tenant: string; bytes: string }>(
    {
      text: "SELECT substring(database, 3) AS tenant, sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND startsWith(database, 't_') GROUP BY tenant",
    },
    { timeoutSeconds: MEASURE_SECONDS_MAX },
  );
  return new Map(rows.map(({ tenant, bytes }) => [tenant, Number(bytes)]));
}

export function logBytes(log: Pick<Log, 'partitions' | 'state'>): ReadonlyMap<string, number> {
  const bytes = new Map<string, number>();
  for (const key of log.partitions()) {
    bytes.set(key.tenant, (bytes.get(key.tenant) ?? 0) + log.state(key).bytes);
  }
  return bytes;
}

export const MEASURE_SECONDS_MAX = 5;

/**
 * Different combinations of dimensions over the newest day: rows of the widest tier that have the newest bucket. Exact
 * up to some ten thousands, then within a percent.
 */
export async function cardinalityOf(
  engine: Pick<Engine, 'rows'>,
  tenant: TenantId,
  stream: StreamDefinition,
  rollup: Versioned<RollupDefinition>,
): Promise<number> {
  if (rollup.definition.by.length === 0) return 1;
  const [row] = await engine.rows<{ n: string }>(cardinalityStatement(tenant, stream, rollup), {
    timeoutSeconds: MEASURE_SECONDS_MAX,
  });
  return Number(row?.n ?? 0);
}

function cardinalityStatement(
  tenant: TenantId,
  stream: StreamDefinition,
  { definition, version }: Versioned<RollupDefinition>,
): Statement {
  const table = rollupTable(tenant, definition.name, version);
  const dimensions = definition.by.map((name) => quoteIdentifier(columnOf(fieldOf(stream, name)!)));
  // As text: a combination that holds a null is one, too.
  return {
    text: `SELECT uniqCombined64(17)(toJSONString(tuple(${dimensions.join(', ')}))) AS n FROM ${table} WHERE _tier = {tier:UInt32} AND _bucket = (SELECT max(_bucket) FROM ${table} WHERE _tier = {tier:UInt32})`,
    params: { tier: tiersOf(definition.everySeconds).at(-1)! },
  };
}
