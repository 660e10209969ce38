import type { PartitionKey } from '../base/brand.ts';
import type { Engine } from '../store/index.ts';

/** Rows of an events or quarantine table that came from the offsets [from, to) of a log partition. */
export async function countRange(
  engine: Pick<Engine, 'rows'>,
  table: string,
  { partition }: PartitionKey,
  from: number,
  to: number,
): Promise<number> {
  const rows = await engine.rows<{ n: string }>({
    text: `SELECT count() AS n FROM ${table} WHERE _partition = {partition:UInt16} AND _offset >= {from:UInt64} AND _offset < {to:UInt64}`,
    params: { partition, from: BigInt(from), to: BigInt(to) },
  });
  return Number(rows[0]?.n ?? 0);
}
