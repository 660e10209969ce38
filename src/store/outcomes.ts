/** What became of a range of a log partition, as the three tables tell it. */
import type { TenantId } from '../base/brand.ts';
import { discardedTable, eventsTable, quarantineTable } from './layout.ts';
import type { Engine } from './port.ts';

export interface OutcomeCounts {
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: number;
  /** Dropped for lateness by the stream's policy. */
  readonly lateDropped: number;
}

/**
 * Rows of each outcome that came from the offsets [from, to) of a partition, counted in one statement. Below the
 * applied offset they add up to `to - from`, as long as retention has not dropped any of them.
 *
 * @example
 * await countOutcomes(engine, tenant, 'orders', 0, 100, 200);
 * // { stored: 97, duplicates: 2, quarantined: 1, lateDropped: 0 }
 */
export async function countOutcomes(
  engine: Pick<Engine, 'rows'>,
  tenant: TenantId,
  stream: string,
  partition: number,
  from: number,
  to: number,
): Promise<OutcomeCounts> {
  const where =
    'WHERE _partition = {partition:UInt16} AND _offset >= {from:UInt64} AND _offset < {to:UInt64}';
  const rows = await engine.rows<{ outcome: keyof OutcomeCounts; n: string }>({
    text: `SELECT 'stored' AS outcome, count() AS n FROM ${eventsTable(tenant, stream)} ${where}
UNION ALL SELECT 'quarantined', count() FROM ${quarantineTable(tenant, stream)} ${where}
UNION ALL SELECT if(why = 'late', 'lateDropped', 'duplicates') AS outcome, count() FROM ${discardedTable(tenant, stream)} ${where} GROUP BY outcome`,
    params: { partition, from: BigInt(from), to: BigInt(to) },
  });
  const of = (outcome: keyof OutcomeCounts): number =>
    Number(rows.find((row) => row.outcome === outcome)?.n ?? 0);
  return {
    stored: of('stored'),
    duplicates: of('duplicates'),
    quarantined: of('quarantined'),
    lateDropped: of('lateDropped'),
  };
}
