/**
 * What the ledger has sealed: for each partition and minute of arrival, where its records lie in the log and how
 * many rows of each outcome the store had when both were compared. It survives the retention of log and events.
 *
 * A minute is kept as a row of its own for 35 days, then merged with its neighbours to hours. A row takes about 130
 * bytes: a partition that is never quiet has 50 400 minutes (7 MB) and adds 8 760 hours (1.1 MB) a year.
 */
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

/**
 * What an implementor owes: a write is durable when it resolves, and whole; writes of one stream keep the order of the
 * calls. `epoch`, `summary` and `forgottenBefore` come from memory, which is up to each write when that resolves.
 */
export interface LedgerRecords {
  /**
   * Changes when the stream's rows are cleared or marked stale: what was found out before is not written any more,
   * neither for the next stream of this name nor over the mark.
   */
  epoch(tenant: TenantId, stream: string): number;
  /** Writes rows, each in the place of the one that begins at the same moment. False: the epoch has passed. */
  record(tenant: TenantId, stream: string, rows: readonly LedgerRow[], epoch: number): Promise<boolean>;
  /** By start, then partition. Rows that touch the range. */
  rows(tenant: TenantId, stream: string, filter?: LedgerFilter): Promise<readonly LedgerRow[]>;
  last(key: PartitionKey): Promise<LedgerRow | undefined>;
  summary(tenant: TenantId, stream: string): LedgerSummary;
  sealedTo(key: PartitionKey): Promise<Offset>;
  mark(tenant: TenantId, stream: string, range: LedgerRange, as: 'stale' | 'acknowledged'): Promise<number>;
  /** Merges balanced minutes that ended before `beforeMs` to hours, at most `limit` hours; how many. */
  mergeToHours(tenant: TenantId, stream: string, beforeMs: number, limit: number): Promise<number>;
  /** Arrivals before this moment are no longer in the table; 0 when none was dropped. */
  forgottenBefore(tenant: TenantId, stream: string, table: ForgettingTable): number;
  setForgottenBefore(
    tenant: TenantId,
    stream: string,
    table: ForgettingTable,
    beforeMs: number,
  ): Promise<void>;
  clear(tenant: TenantId, stream: string): Promise<void>;
}

/** Everything below this offset is sealed, and balanced or acknowledged: so far the log may forget. */
export const sealedTo = (catalog: { readonly ledger: LedgerRecords }, key: PartitionKey): Promise<Offset> =>
  catalog.ledger.sealedTo(key);

/** Has the sealed rows that touch the range checked again, after a repair or rebuild; how many they are. */
export const unseal = (
  catalog: { readonly ledger: LedgerRecords },
  tenant: TenantId,
  stream: StreamName,
  range: LedgerRange,
): Promise<number> => catalog.ledger.mark(tenant, stream, range, 'stale');

/** Takes note that the mismatches in the range are known and stay; retention no longer waits for them. */
export const acknowledge = (
  catalog: { readonly ledger: LedgerRecords },
  tenant: TenantId,
  stream: StreamName,
  range: LedgerRange,
): Promise<number> => catalog.ledger.mark(tenant, stream, range, 'acknowledged');

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
