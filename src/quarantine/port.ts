/** Quarantined records on their way back: fixed, checked, and appended to the log again. */
import type { TenantId } from '../base/brand.ts';
import type { Run } from '../runs/port.ts';

/** Which records, and what to do with them. */
export interface ReplayRequest {
  /** Only those with this reason. */
  readonly reason?: string | undefined;
  /** Only those where this field is at fault. */
  readonly field?: string | undefined;
  /** Time of arrival `[fromMs, toMs)`. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  /**
   * An expression of the engine's SQL that makes the line to be stored from `line` (also `reason`, `field`, `_id`,
   * `_received`): `replaceRegexpOne(line, '"price":"(\\d+),(\\d+)"', '"price":\\1.\\2')`. Absent: the line as it was sent.
   */
  readonly fix?: string | undefined;
  /** What was put aside for lateness, quarantined or dropped, and nothing else. */
  readonly late?: LateFilter | undefined;
}

export interface LateFilter {
  readonly what?: 'quarantined' | 'dropped' | undefined;
  /** Event time `[fromMs, toMs)`. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
}

export interface ReasonCount {
  readonly reason: string;
  readonly field: string;
  readonly count: number;
}

/** What a replay would do, told from a part of the records. */
export interface ReplayForecast {
  /** Records that wait and fit the request. */
  readonly candidates: number;
  /** How many of them were tried, the oldest first. */
  readonly examined: number;
  readonly wouldStore: number;
  readonly stillBad: readonly ReasonCount[];
  readonly sample: readonly {
    readonly line: string;
    readonly fixed: string;
    /** Why it would stay; null when it would be stored. */
    readonly problem: string | null;
  }[];
}

/** The result of a run of kind `replay-quarantine` or `replay-late`. */
export interface ReplayResult {
  readonly replayed: number;
  /** Those that the definition still does not take; they stay where they are. */
  readonly stillBad: number;
}

export interface QuarantineReplay {
  /** Fails with `unknown-stream` or `bad-question`. Nothing is changed. */
  forecast(tenant: TenantId, stream: string, request: ReplayRequest): Promise<ReplayForecast>;
  /**
   * Starts the replay: each record that the definition takes now, as it is or fixed, is appended to the log once,
   * whatever crashes; it stays where it is, marked as replayed, and is never replayed again. Lateness is not judged again.
   */
  start(tenant: TenantId, stream: string, request: ReplayRequest): Promise<Run>;
}
