/** Reconciliation: log against raw, raw against every rollup; what differs, why, and the repair of it. */
import type { TenantId } from '../base/brand.ts';
import type { Run } from '../runs/port.ts';

export interface ReconcileRequest {
  /** Puts right what can be put right, in the whole stream. Absent: only looks. */
  readonly repair?: boolean;
  /** Also parses the log again and compares every value that is stored. */
  readonly deep?: boolean;
  /** Only these rollups; absent: all of the stream. */
  readonly rollups?: readonly string[];
  /** Arrivals [fromMs, toMs) of the records that are compared with the log. Ids and rollups are compared whole. */
  readonly fromMs?: number;
  readonly toMs?: number;
}

export const DIFFERENCE_KINDS = [
  'unreadable-part',
  'missing',
  'doubled',
  'stray',
  'content',
  'id-twice',
  'rollup',
] as const;
/**
 *   unreadable-part   a part of a table whose files are damaged
 *   missing           applied offsets that are in none of the three tables
 *   doubled           offsets that are there more than once
 *   stray             rows with offsets that the log has never given out
 *   content           rows that are not what the log says (only with `deep`)
 *   id-twice          events whose id is stored already, by an event that arrived before
 *   rollup            buckets that are not what the events come to
 */
export type DifferenceKind = (typeof DIFFERENCE_KINDS)[number];

export interface Difference {
  readonly kind: DifferenceKind;
  /** The table or rollup, as its owner calls it: `events`, `quarantine`, `discarded`, or the rollup's name. */
  readonly where: string;
  /** Offsets [from, to) of one log partition. */
  readonly partition?: number;
  readonly from?: number;
  readonly to?: number;
  /** Of a rollup: width of the bucket in seconds, its start, and what it is grouped by. */
  readonly tier?: number;
  readonly bucket?: string;
  readonly dimensions?: Readonly<Record<string, unknown>>;
  readonly id?: string;
  readonly expected: unknown;
  readonly found: unknown;
  /** Why we think so, in words. */
  readonly why: string;
}

/** What cannot be known, and why. It is never counted as right. */
export interface Unverifiable {
  readonly where: string;
  readonly partition?: number;
  readonly from?: number;
  readonly to?: number;
  readonly tier?: number;
  readonly buckets?: number;
  readonly why: string;
}

/** How tables stood at one moment. */
export interface Comparison {
  readonly atMs: number;
  /** Applied records that were held against the log. */
  readonly records: number;
  /** Buckets of rollups, over all tiers, are compared for so many days of event time. */
  readonly rollups: readonly { readonly name: string; readonly days: number }[];
  /** Exact, by kind: parts, offsets, rows, or buckets. Kinds without any are left out. */
  readonly counts: Readonly<Partial<Record<DifferenceKind, number>>>;
  /** The first of them, at most 1 000 in all. */
  readonly differences: readonly Difference[];
  readonly unverifiable: readonly Unverifiable[];
  /** What was compared only in part, in words. */
  readonly remarks: readonly string[];
}

/** A step of the repair: what it did, or why it could not. */
export interface RepairNote {
  readonly kind: DifferenceKind;
  readonly where: string;
  readonly done: boolean;
  readonly words: string;
}

/** The result of a run of kind `reconcile`. */
export interface ReconcileReport {
  readonly stream: string;
  readonly repair: boolean;
  readonly deep: boolean;
  /** Nothing differs any more. */
  readonly balanced: boolean;
  readonly before: Comparison;
  /** Absent when nothing was repaired. */
  readonly after?: Comparison;
  readonly repairs: readonly RepairNote[];
}

export interface Reconciler {
  /** Enters a run. Fails with `unknown-stream`, `unknown-rollup`, `conflict` (one is under way) or `too-busy`. */
  start(tenant: TenantId, stream: string, request: ReconcileRequest): Promise<Run>;
  /** The newest run that ended with a report; undefined when there is none. */
  newest(
    tenant: TenantId,
    stream: string,
  ): Promise<{ readonly run: Run; readonly report: ReconcileReport } | undefined>;
}
