/** The ledger as the client shows it: what was accepted, and what became of it. */
import type { CountQuestion, Moment } from './types.ts';

export interface LedgerQuestion extends Pick<CountQuestion, 'signal'> {
  /** Width of a row in time of arrival; default `1m`. */
  readonly every?: '1m' | '10m' | '1h' | '1d' | undefined;
  /** Time of arrival; default 60 rows before `to`. */
  readonly from?: Moment | undefined;
  readonly to?: Moment | undefined;
  readonly partition?: number | undefined;
  readonly by?: 'partition' | undefined;
  readonly only?: 'mismatched' | undefined;
  /** Rows of a page, 1 to 1000; default 100. */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface LedgerCounts {
  readonly accepted: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly late_dropped: number;
  readonly pending: number;
  /** Applied, and nowhere: a fault. */
  readonly missing: number;
  /** There more than once, or unknown to the log: a fault. */
  readonly extra: number;
}

export interface LedgerRow extends LedgerCounts {
  readonly start: string;
  readonly partition?: number;
  readonly balanced: boolean;
  readonly sealed: boolean;
  readonly source: 'store' | 'sealed';
}

export interface LedgerPage {
  readonly every: string;
  readonly from: string;
  readonly to: string;
  readonly rows: readonly LedgerRow[];
  /** Of the whole range, whatever the page shows of it. */
  readonly totals: LedgerCounts;
  readonly balanced: boolean;
  readonly checked_to: string | null;
  readonly next_cursor: string | null;
}

export interface LedgerOfBatch extends LedgerCounts {
  readonly batch: string;
  readonly forgotten: number;
  readonly balanced: boolean;
  readonly exceptions: readonly {
    readonly partition: number;
    readonly offset: number;
    readonly outcome: 'duplicate' | 'quarantined' | 'late_dropped';
    readonly reason: string;
    readonly field?: string;
    readonly id?: string;
  }[];
}

export interface PageQuestion extends Pick<CountQuestion, 'from' | 'to' | 'signal'> {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

interface Arrival {
  readonly partition: number;
  readonly offset: number;
  readonly received: string;
}

export interface DuplicatesPage {
  readonly count: number;
  readonly duplicates: readonly (Arrival & {
    readonly time: string;
    readonly id: string;
    /** The arrival that was counted. */
    readonly first: Arrival | null;
    readonly first_unknown?: string;
  })[];
  readonly next_cursor: string | null;
}
