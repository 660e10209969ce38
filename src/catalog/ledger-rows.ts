/** Rows of the ledger as the tables hold them, found and merged. */
import { type Kysely, type SelectQueryBuilder, sql } from 'kysely';
import type { Offset, TenantId } from '../base/brand.ts';
import type { LedgerFilter, LedgerRange, LedgerRow } from './ledger.ts';
import type { LedgerTableRow, Tables } from './tables.ts';

export const HOUR_MS = 3_600_000;
const HASH_MODULUS = 2n ** 64n;
const ROWS_MAX = 1_000_000;

/** By start, then partition; rows that touch the range. */
export async function findRows(
  db: Kysely<Tables>,
  tenant: TenantId,
  stream: string,
  filter: LedgerFilter,
): Promise<readonly LedgerRow[]> {
  let query: SelectQueryBuilder<Tables, 'ledger', LedgerTableRow> = db.selectFrom('ledger').selectAll();
  for (const condition of conditions(tenant, stream, filter)) query = query.where(condition);
  if (filter.open) query = query.where(sql<boolean>`(stale = 1 OR balanced = 0)`);
  const { after } = filter;
  if (after)
    query = query.where(
      sql<boolean>`(start_ms, ${sql.ref('partition')}) > (${after.startMs}, ${after.partition})`,
    );
  const rows = await query
    .orderBy('start_ms')
    .orderBy('partition')
    .limit(filter.limit ?? ROWS_MAX)
    .execute();
  return rows.map(rowOf);
}

export function conditions(tenant: TenantId, stream: string, range: LedgerRange) {
  const { partition, fromMs, toMs, from, to } = range;
  return [
    sql<boolean>`tenant = ${tenant} AND stream = ${stream}`,
    ...(partition === undefined ? [] : [sql<boolean>`${sql.ref('partition')} = ${partition}`]),
    // The first bound is what the key can seek by; a row is at most an hour wide.
    ...(fromMs === undefined
      ? []
      : [sql<boolean>`start_ms > ${fromMs - HOUR_MS} AND start_ms + width_ms > ${fromMs}`]),
    ...(toMs === undefined ? [] : [sql<boolean>`start_ms < ${toMs}`]),
    ...(from === undefined ? [] : [sql<boolean>`to_offset > ${from}`]),
    ...(to === undefined ? [] : [sql<boolean>`from_offset < ${to}`]),
  ];
}

/** Rows of one partition that follow each other, as one. */
export function mergeRows(rows: readonly LedgerRow[], startMs: number, widthMs: number): LedgerRow {
  const sum = (of: (row: LedgerRow) => number): number => rows.reduce((total, row) => total + of(row), 0);
  const first = rows[0]!;
  return {
    partition: first.partition,
    startMs,
    widthMs,
    from: first.from,
    to: rows.at(-1)!.to,
    hash: String(rows.reduce((total, row) => (total + BigInt(row.hash)) % HASH_MODULUS, 0n)),
    stored: sum((row) => row.stored),
    duplicates: sum((row) => row.duplicates),
    quarantined: sum((row) => row.quarantined),
    lateDropped: sum((row) => row.lateDropped),
    missing: sum((row) => row.missing),
    extra: sum((row) => row.extra),
    balanced: rows.every((row) => row.balanced),
    acknowledged:
      rows.every((row) => row.balanced || row.acknowledged) && rows.some((row) => row.acknowledged),
    stale: rows.some((row) => row.stale),
    checkedAtMs: Math.min(...rows.map((row) => row.checkedAtMs)),
  };
}

export const rowOf = (raw: LedgerTableRow): LedgerRow => ({
  partition: raw.partition,
  startMs: raw.start_ms,
  widthMs: raw.width_ms,
  from: raw.from_offset as Offset,
  to: raw.to_offset as Offset,
  hash: raw.hash,
  stored: raw.stored,
  duplicates: raw.duplicates,
  quarantined: raw.quarantined,
  lateDropped: raw.late_dropped,
  missing: raw.missing,
  extra: raw.extra,
  balanced: raw.balanced === 1,
  acknowledged: raw.acknowledged === 1,
  stale: raw.stale === 1,
  checkedAtMs: raw.checked_at_ms,
});

export const tableRowOf = (tenant: TenantId, stream: string, row: LedgerRow): LedgerTableRow => ({
  tenant,
  stream,
  partition: row.partition,
  start_ms: row.startMs,
  width_ms: row.widthMs,
  from_offset: row.from,
  to_offset: row.to,
  hash: row.hash,
  stored: row.stored,
  duplicates: row.duplicates,
  quarantined: row.quarantined,
  late_dropped: row.lateDropped,
  missing: row.missing,
  extra: row.extra,
  balanced: Number(row.balanced),
  acknowledged: Number(row.acknowledged),
  stale: Number(row.stale),
  checked_at_ms: row.checkedAtMs,
});
