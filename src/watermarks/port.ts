/**
 * Watermarks: up to when a stream's events are complete, as far as one can know. Events behind it may still come; they are
 * late, and what was concluded from it is then corrected.
 */
import type { Offset, TenantId } from '../base/brand.ts';

export interface WatermarkState {
  /** Epoch ms; undefined before the first event. Never goes back, whatever crashes. */
  readonly atMs: number | undefined;
  /** By log partition: what lies below these offsets is in the store, and in this watermark. */
  readonly applied: readonly Offset[];
  /** How far it is behind the clock; 0 before the first event. */
  readonly lagMs: number;
  /** Partitions, or values of the source field, that have a watermark each. */
  readonly sources: number;
  /** Of them: silent for so long that they do not hold the others back. */
  readonly idleSources: number;
}

/**
 * What an implementor owes: `of` comes from memory, and its `atMs` and `applied` belong together: every record that
 * moved the watermark there is below `applied`, visible to queries. What `of` has told stays true over a restart.
 */
export interface Watermarks {
  /** Of a stream that is not there, and before it has begun: a state without time and offsets. */
  of(tenant: TenantId, stream: string): WatermarkState;
  /**
   * "From this source, or from all of them, nothing older than `atMs` will come." Durable when it resolves; it counts once
   * every record that the log has now is applied. Fails with `unknown-stream`; with `bad-request` when it lies further
   * ahead than the stream's events may, or names a source of a stream whose sources are its partitions.
   */
  heartbeat(tenant: TenantId, stream: string, atMs: number, source?: string): Promise<void>;
  /** Calls back after each advance of a watermark or of its applied offsets; returns the way to stop. */
  watch(listener: (tenant: TenantId, stream: string) => void): () => void;
}

/** Records of the minutes that a range touches. */
export interface RangeCount {
  readonly count: number;
  /**
   * False: there may be fewer or more. The range cuts an hour or a day that is only known as a whole, some may be forgotten,
   * or a batch that brings some is on its way into the tables.
   */
  readonly isExact: boolean;
}

/**
 * What came late or twice, by minute of event time; older ones by hour, then by day. From memory, and durable in the moment
 * in which the records are applied.
 */
export interface LateArrivals {
  /** Stored events of `[fromMs, toMs)` that came when the watermark had passed their minute. */
  late(tenant: TenantId, stream: string, fromMs: number, toMs: number): RangeCount;
  /** Records of `[fromMs, toMs)` that were not stored because their id was. */
  duplicates(tenant: TenantId, stream: string, fromMs: number, toMs: number): RangeCount;
  /** What `late` counts: `[minute since 1970 at which they begin, events]`, in no order. */
  lateMinutes(tenant: TenantId, stream: string): readonly (readonly [number, number])[];
}

/** A stream that has told nothing yet. */
export const UNKNOWN: WatermarkState = Object.freeze({
  atMs: undefined,
  applied: Object.freeze([]),
  lagMs: 0,
  sources: 0,
  idleSources: 0,
});
