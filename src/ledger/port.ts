/** The ledger: for every stream, partition and minute of arrival, what was accepted and what became of it. */
import type { Offset, TenantId } from '../base/brand.ts';

/** accepted = stored + duplicates + quarantined + lateDropped + pending, when it balances. */
export interface LedgerCounts {
  /** Records in the log. */
  readonly accepted: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly lateDropped: number;
  /** In the log, not applied yet. */
  readonly pending: number;
  /** Applied records that are nowhere. */
  readonly missing: number;
  /** Rows that are there more than once, or that the log knows nothing of. */
  readonly extra: number;
}

export interface LedgerLine extends LedgerCounts {
  /** Start of the bucket of arrival, epoch ms. */
  readonly startMs: number;
  /** Only when it was asked for by partition. */
  readonly partition?: number;
  readonly balanced: boolean;
  /** Every record of the bucket was checked and its numbers are kept for good. */
  readonly sealed: boolean;
  /** Where the numbers of the outcomes come from: the rows as they are now, or what was sealed before they were dropped. */
  readonly source: 'store' | 'sealed';
}

export const LEDGER_WIDTHS = { '1m': 60_000, '10m': 600_000, '1h': 3_600_000, '1d': 86_400_000 } as const;
export type LedgerEvery = keyof typeof LEDGER_WIDTHS;

export interface LedgerRequest {
  /** Width of a bucket; default `1m`. */
  readonly every?: LedgerEvery;
  /** Times of arrival, epoch ms; widened to whole buckets. Default: the last 60 buckets. */
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly partition?: number;
  readonly byPartition?: boolean;
  readonly onlyMismatched?: boolean;
  /** Rows, 1 to 1000; default 100. */
  readonly limit?: number;
  readonly cursor?: string;
}

export interface LedgerAnswer {
  readonly every: LedgerEvery;
  readonly fromMs: number;
  readonly toMs: number;
  /** Ascending; buckets in which nothing arrived and nothing lies are left out. */
  readonly rows: readonly LedgerLine[];
  /** Of the whole range, whatever the page and the filter show of it. */
  readonly totals: LedgerCounts;
  readonly balanced: boolean;
  readonly checkedToMs: number | undefined;
  readonly next: string | null;
}

/** A record that was not simply stored. */
export interface LedgerException {
  readonly partition: number;
  readonly offset: number;
  readonly outcome: 'duplicate' | 'quarantined' | 'late_dropped';
  readonly reason: string;
  readonly field?: string;
  readonly id?: string;
}

export interface BatchAnswer extends LedgerCounts {
  /** Records whose rows retention has dropped; only the sums of their minutes are still known. */
  readonly forgotten: number;
  readonly balanced: boolean;
  /** The first 100 of each outcome, by partition and offset. */
  readonly exceptions: readonly LedgerException[];
}

export interface LedgerHealth {
  readonly balanced: boolean;
  /** Everything that arrived before this moment was checked; undefined before the first check. */
  readonly checkedToMs: number | undefined;
  readonly mismatchedMinutes: number;
  /** Checks of minutes since the process began. */
  readonly checked: number;
}

export interface Ledger {
  /** Fails with `unknown-stream` or `bad-question`. */
  ask(tenant: TenantId, stream: string, request?: LedgerRequest, signal?: AbortSignal): Promise<LedgerAnswer>;
  /** What became of the records that a receipt names. Fails with `unknown-stream`, `bad-question` or `not-found`. */
  batch(tenant: TenantId, stream: string, receipt: string, signal?: AbortSignal): Promise<BatchAnswer>;
  health(tenant: TenantId, stream: string): LedgerHealth;
}

/** Consecutive records of one partition that arrived within a span of time. */
export interface ArrivalSpan {
  readonly partition: number;
  readonly startMs: number;
  readonly widthMs: number;
  readonly from: Offset;
  readonly to: Offset;
}
