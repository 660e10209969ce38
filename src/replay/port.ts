/** Replay: records of the log are decided again, under the definition that stands now. */
import type { TenantId } from '../base/brand.ts';
import type { Run } from '../runs/port.ts';

/** A moment of arrival, or an offset for each log partition named. */
export type ReplayBound = { readonly atMs: number } | { readonly offsets: Readonly<Record<string, number>> };

export interface ReplayRequest {
  /** The first record to be decided again; absent: the first that log and store still hold. */
  readonly from?: ReplayBound;
  /** The first record that is not; absent: everything that is applied. */
  readonly to?: ReplayBound;
}

/** What became of the records of the range. */
export interface ReplayCounts {
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: number;
  readonly lateDropped: number;
}

export interface ReplayResult {
  /** Records that were decided again. */
  readonly records: number;
  readonly before: ReplayCounts;
  readonly after: ReplayCounts;
  /** Offsets [from, to) by log partition; those without any are left out. */
  readonly ranges: readonly { readonly partition: number; readonly from: number; readonly to: number }[];
  readonly rollups: readonly string[];
}

export interface Replays {
  /**
   * Enters a run that decides the range again. Fails with `unknown-stream`, `bad-question` (a range that is none) or
   * `conflict` (a replay of the stream is under way, or the log no longer holds the range).
   */
  start(tenant: TenantId, stream: string, request: ReplayRequest): Promise<Run>;
}
