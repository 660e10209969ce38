/** How far a table is changed: the number of its last change, which says what stood behind it. */
import type { TenantId } from '../base/brand.ts';
import { dimensionTable, type Engine } from '../store/index.ts';

/** 0: nothing was ever written. */
export async function lastChange(
  engine: Pick<Engine, 'rows'>,
  tenant: TenantId,
  table: string,
): Promise<number> {
  const [row] = await engine.rows<{ seq: string }>({
    text: `SELECT max(_seq) AS seq FROM ${dimensionTable(tenant, table)}`,
  });
  return Number(row?.seq ?? 0);
}
