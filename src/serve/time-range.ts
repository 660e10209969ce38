import type { TenantId } from '../base/brand.ts';
import { type Engine, eventsTable } from '../store/index.ts';

export interface TimeRange {
  readonly firstMs: number;
  readonly lastMs: number;
}

/** Least and greatest event time of a stream; undefined when nothing is stored. Read from the index of the table. */
export async function readTimeRange(
  engine: Pick<Engine, 'rows'>,
  tenant: TenantId,
  stream: string,
): Promise<TimeRange | undefined> {
  const [row] = await engine.rows<{ first: string; last: string; events: string }>(
    {
      text: `SELECT toUnixTimestamp64Milli(min(_time)) AS first, toUnixTimestamp64Milli(max(_time)) AS last, count() AS events FROM ${eventsTable(tenant, stream)}`,
    },
    { reading: 'rollup', tenant },
  );
  if (row === undefined || row.events === '0') return undefined;
  return { firstMs: Number(row.first), lastMs: Number(row.last) };
}
