/**
 * What the ledger has sealed: for each partition and minute of arrival, where its records lie in the log and how
 * many rows of each outcome the store had when both were compared. It survives the retention of log and events.
 *
 * A minute is kept as a row of its own for 35 days, then merged with its neighbours to hours. A row takes about 130
 * bytes: a partition that is never quiet has 50 400 minutes (7 MB) and adds 8 760 hours (1.1 MB) a year.
 */
import type { Database } from 'libsql';
import type { Offset, PartitionKey, StreamName, TenantId } from '../base/brand.ts';

/** One minute (or merged hour) of arrival of one partition. The rows of a partition join without gaps. */
export interface LedgerRow {
  readonly partition: number;
  /** Start of the span, epoch ms, a multiple of `widthMs`. */
  readonly startMs: number;
  readonly widthMs: number;
  /** The log's side: the records that arrived in the span are exactly [from, to). */
  readonly from: Offset;
  readonly to: Offset;
  /** Sum of a hash of each offset of [from, to), modulo 2^64, as decimal digits. */
  readonly hash: string;
  /** The store's side, as it was found. */
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly lateDropped: number;
  /** Offsets of which the store had no row, and rows too many. */
  readonly missing: number;
  readonly extra: number;
  readonly balanced: boolean;
  /** A reconciliation has seen the mismatch and could do nothing more about it. */
  readonly acknowledged: boolean;
  /** Something was changed on purpose since it was checked: it is to be checked again. */
  readonly stale: boolean;
  readonly checkedAtMs: number;
}

/** A span of arrival times, of offsets, or both; of one partition or of all. */
export interface LedgerRange {
  readonly partition?: number | undefined;
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  readonly from?: Offset | undefined;
  readonly to?: Offset | undefined;
}

export interface LedgerFilter extends LedgerRange {
  /** Only rows that are stale or mismatched. */
  readonly open?: boolean | undefined;
  readonly limit?: number | undefined;
  /** Only rows behind this one, in the order of the answer: by start, then partition. */
  readonly after?: { readonly startMs: number; readonly partition: number } | undefined;
}

export interface LedgerSummary {
  readonly rows: number;
  /** Rows that do not balance and that nobody has acknowledged. */
  readonly mismatched: number;
  readonly stale: number;
  /** End of the newest row, epoch ms. */
  readonly endMs: number | undefined;
}

/** Tables of a stream whose days retention drops. */
export type ForgettingTable = 'events' | 'quarantine' | 'discarded';

/** What an implementor owes: a write is durable when it returns, and whole. */
export interface LedgerRecords {
  /**
   * Changes when the stream's rows are cleared or marked stale: what was found out before is not written any more,
   * neither for the next stream of this name nor over the mark.
   */
  epoch(tenant: TenantId, stream: string): number;
  /** Writes rows, each in the place of the one that begins at the same moment. False: the epoch has passed. */
  record(tenant: TenantId, stream: string, rows: readonly LedgerRow[], epoch: number): boolean;
  /** By start, then partition. Rows that touch the range. */
  rows(tenant: TenantId, stream: string, filter?: LedgerFilter): readonly LedgerRow[];
  last(key: PartitionKey): LedgerRow | undefined;
  summary(tenant: TenantId, stream: string): LedgerSummary;
  sealedTo(key: PartitionKey): Offset;
  mark(tenant: TenantId, stream: string, range: LedgerRange, as: 'stale' | 'acknowledged'): number;
  /** Merges balanced minutes that ended before `beforeMs` to hours, at most `limit` hours; how many. */
  mergeToHours(tenant: TenantId, stream: string, beforeMs: number, limit: number): number;
  /** Arrivals before this moment are no longer in the table; 0 when none was dropped. */
  forgottenBefore(tenant: TenantId, stream: string, table: ForgettingTable): number;
  setForgottenBefore(tenant: TenantId, stream: string, table: ForgettingTable, beforeMs: number): void;
  clear(tenant: TenantId, stream: string): void;
}

/** Everything below this offset is sealed, and balanced or acknowledged: so far the log may forget. */
export const sealedTo = (catalog: { readonly ledger: LedgerRecords }, key: PartitionKey): Offset =>
  catalog.ledger.sealedTo(key);

/** Has the sealed rows that touch the range checked again, after a repair or rebuild; how many they are. */
export const unseal = (
  catalog: { readonly ledger: LedgerRecords },
  tenant: TenantId,
  stream: StreamName,
  range: LedgerRange,
): number => catalog.ledger.mark(tenant, stream, range, 'stale');

/** Takes note that the mismatches in the range are known and stay; retention no longer waits for them. */
export const acknowledge = (
  catalog: { readonly ledger: LedgerRecords },
  tenant: TenantId,
  stream: StreamName,
  range: LedgerRange,
): number => catalog.ledger.mark(tenant, stream, range, 'acknowledged');

export const LEDGER_TABLES = `CREATE TABLE ledger (
     tenant        TEXT    NOT NULL,
     stream        TEXT    NOT NULL,
     partition     INTEGER NOT NULL,
     start_ms      INTEGER NOT NULL,
     width_ms      INTEGER NOT NULL,
     from_offset   INTEGER NOT NULL,
     to_offset     INTEGER NOT NULL,
     hash          TEXT    NOT NULL,
     stored        INTEGER NOT NULL,
     duplicates    INTEGER NOT NULL,
     quarantined   INTEGER NOT NULL,
     late_dropped  INTEGER NOT NULL,
     missing       INTEGER NOT NULL,
     extra         INTEGER NOT NULL,
     balanced      INTEGER NOT NULL,
     acknowledged  INTEGER NOT NULL,
     stale         INTEGER NOT NULL,
     checked_at_ms INTEGER NOT NULL,
     PRIMARY KEY (tenant, stream, start_ms, partition)
   ) WITHOUT ROWID;
   CREATE INDEX ledger_open ON ledger (tenant, stream, partition, from_offset) WHERE stale = 1 OR balanced = 0;
   CREATE INDEX ledger_by_partition ON ledger (tenant, stream, partition, start_ms);
   CREATE TABLE ledger_forgotten (
     tenant    TEXT    NOT NULL,
     stream    TEXT    NOT NULL,
     what      TEXT    NOT NULL,
     before_ms INTEGER NOT NULL,
     PRIMARY KEY (tenant, stream, what)
   ) WITHOUT ROWID;`;

const HOUR_MS = 3_600_000;
const HASH_MODULUS = 2n ** 64n;
const ROWS_MAX = 1_000_000;
const UNSOLVED = '(stale = 1 OR (balanced = 0 AND acknowledged = 0))';

type Cell = number | string;
type Raw = Readonly<Record<string, Cell>>;

export function ledgerRecords(database: Database): LedgerRecords {
  const epochs = new Map<string, number>();
  const epochName = (tenant: TenantId, stream: string): string => JSON.stringify([tenant, stream]);
  const epochOf = (tenant: TenantId, stream: string): number => epochs.get(epochName(tenant, stream)) ?? 0;
  const nextEpoch = (tenant: TenantId, stream: string): void =>
    void epochs.set(epochName(tenant, stream), epochOf(tenant, stream) + 1);
  const put = database.prepare(
    `INSERT OR REPLACE INTO ledger (tenant, stream, partition, start_ms, width_ms, from_offset, to_offset, hash, stored,
       duplicates, quarantined, late_dropped, missing, extra, balanced, acknowledged, stale, checked_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const lastOf = database.prepare(
    'SELECT * FROM ledger WHERE tenant = ? AND stream = ? AND partition = ? ORDER BY start_ms DESC LIMIT 1',
  );
  const firstUnsolved = database.prepare(
    `SELECT min(from_offset) AS first FROM ledger INDEXED BY ledger_open
     WHERE tenant = ? AND stream = ? AND partition = ? AND (stale = 1 OR balanced = 0) AND ${UNSOLVED}`,
  );
  const summaryOf = database.prepare(
    `SELECT count(*) AS open, coalesce(sum(balanced = 0 AND acknowledged = 0), 0) AS mismatched, coalesce(sum(stale), 0) AS stale
     FROM ledger INDEXED BY ledger_open WHERE tenant = ? AND stream = ? AND (stale = 1 OR balanced = 0)`,
  );
  const newest = database.prepare(
    'SELECT start_ms + width_ms AS end_ms FROM ledger WHERE tenant = ? AND stream = ? ORDER BY start_ms DESC LIMIT 1',
  );
  const remove = database.prepare(
    'DELETE FROM ledger WHERE tenant = ? AND stream = ? AND partition = ? AND start_ms = ?',
  );
  const forgotten = database.prepare(
    'SELECT before_ms FROM ledger_forgotten WHERE tenant = ? AND stream = ? AND what = ?',
  );
  const forget = database.prepare(
    `INSERT INTO ledger_forgotten (tenant, stream, what, before_ms) VALUES (?, ?, ?, ?)
     ON CONFLICT (tenant, stream, what) DO UPDATE SET before_ms = max(before_ms, excluded.before_ms)`,
  );

  const write = (tenant: TenantId, stream: string, row: LedgerRow): void => {
    put.run(
      ...[tenant, stream, row.partition, row.startMs, row.widthMs, row.from, row.to, row.hash],
      ...[row.stored, row.duplicates, row.quarantined, row.lateDropped, row.missing, row.extra],
      ...[Number(row.balanced), Number(row.acknowledged), Number(row.stale), row.checkedAtMs],
    );
  };

  const rows: LedgerRecords['rows'] = (tenant, stream, filter = {}) => {
    const { where, values } = conditions(tenant, stream, filter);
    const text = `SELECT * FROM ledger WHERE ${where} ORDER BY start_ms, partition LIMIT ?`;
    return (database.prepare(text).all(...values, filter.limit ?? ROWS_MAX) as Raw[]).map(toRow);
  };

  return {
    epoch: epochOf,

    record(tenant, stream, written, epoch) {
      if (epochOf(tenant, stream) !== epoch) return false;
      if (written.length > 0) {
        database
          .transaction(() => {
            for (const row of written) write(tenant, stream, row);
          })
          .immediate();
      }
      return true;
    },

    rows,
    last: (key) => {
      const raw = lastOf.get(key.tenant, key.stream, key.partition) as Raw | undefined;
      return raw && toRow(raw);
    },

    summary(tenant, stream) {
      const open = summaryOf.get(tenant, stream) as Raw;
      const end = newest.get(tenant, stream) as Raw | undefined;
      return {
        rows: Number(open.open),
        mismatched: Number(open.mismatched),
        stale: Number(open.stale),
        endMs: end === undefined ? undefined : Number(end.end_ms),
      };
    },

    sealedTo(key) {
      const raw = firstUnsolved.get(key.tenant, key.stream, key.partition) as { first: number | null };
      if (raw.first !== null) return raw.first as Offset;
      const last = lastOf.get(key.tenant, key.stream, key.partition) as Raw | undefined;
      return Number(last?.to_offset ?? 0) as Offset;
    },

    mark(tenant, stream, range, as) {
      const { where, values } = conditions(tenant, stream, range);
      const change = as === 'stale' ? 'stale = 1' : 'acknowledged = 1';
      const which = as === 'stale' ? '' : ' AND balanced = 0';
      nextEpoch(tenant, stream);
      return database.prepare(`UPDATE ledger SET ${change} WHERE ${where}${which}`).run(...values).changes;
    },

    mergeToHours(tenant, stream, beforeMs, limit) {
      const before = Math.floor(beforeMs / HOUR_MS) * HOUR_MS;
      const text = `SELECT partition, start_ms / ${HOUR_MS} * ${HOUR_MS} AS hour FROM ledger
        WHERE tenant = ? AND stream = ? AND start_ms < ? AND width_ms < ${HOUR_MS}
        GROUP BY partition, hour HAVING min(balanced) = 1 AND max(stale) = 0 ORDER BY hour, partition LIMIT ?`;
      const hours = database.prepare(text).all(tenant, stream, before, limit) as Raw[];
      if (hours.length === 0) return 0;
      database
        .transaction(() => {
          for (const { partition, hour } of hours) {
            const range = {
              fromMs: Number(hour),
              toMs: Number(hour) + HOUR_MS,
              partition: Number(partition),
            };
            const minutes = rows(tenant, stream, range);
            for (const one of minutes) remove.run(tenant, stream, one.partition, one.startMs);
            write(tenant, stream, mergeRows(minutes, range.fromMs, HOUR_MS));
          }
        })
        .immediate();
      return hours.length;
    },

    forgottenBefore: (tenant, stream, table) =>
      Number((forgotten.get(tenant, stream, table) as Raw | undefined)?.before_ms ?? 0),
    setForgottenBefore: (tenant, stream, table, beforeMs) => void forget.run(tenant, stream, table, beforeMs),

    clear(tenant, stream) {
      nextEpoch(tenant, stream);
      for (const table of ['ledger', 'ledger_forgotten'])
        database.prepare(`DELETE FROM ${table} WHERE tenant = ? AND stream = ?`).run(tenant, stream);
    },
  };
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

function conditions(
  tenant: TenantId,
  stream: string,
  filter: LedgerFilter,
): { where: string; values: Cell[] } {
  const parts = ['tenant = ?', 'stream = ?'];
  const values: Cell[] = [tenant, stream];
  const add = (condition: string, ...more: Cell[]) => {
    parts.push(condition);
    values.push(...more);
  };
  if (filter.partition !== undefined) add('partition = ?', filter.partition);
  // The first bound is what the key can seek by; a row is at most an hour wide.
  if (filter.fromMs !== undefined)
    add('start_ms > ? AND start_ms + width_ms > ?', filter.fromMs - HOUR_MS, filter.fromMs);
  if (filter.toMs !== undefined) add('start_ms < ?', filter.toMs);
  if (filter.from !== undefined) add('to_offset > ?', filter.from);
  if (filter.to !== undefined) add('from_offset < ?', filter.to);
  if (filter.open) add('(stale = 1 OR balanced = 0)');
  if (filter.after) add('(start_ms, partition) > (?, ?)', filter.after.startMs, filter.after.partition);
  return { where: parts.join(' AND '), values };
}

const toRow = (raw: Raw): LedgerRow => ({
  partition: Number(raw.partition),
  startMs: Number(raw.start_ms),
  widthMs: Number(raw.width_ms),
  from: Number(raw.from_offset) as Offset,
  to: Number(raw.to_offset) as Offset,
  hash: String(raw.hash),
  stored: Number(raw.stored),
  duplicates: Number(raw.duplicates),
  quarantined: Number(raw.quarantined),
  lateDropped: Number(raw.late_dropped),
  missing: Number(raw.missing),
  extra: Number(raw.extra),
  balanced: raw.balanced === 1,
  acknowledged: raw.acknowledged === 1,
  stale: raw.stale === 1,
  checkedAtMs: Number(raw.checked_at_ms),
});
