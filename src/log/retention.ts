/** Which segments may be forgotten: a decision on facts alone, so that both logs decide the same. */
import type { Offset } from '../base/brand.ts';

export interface RetentionPolicy {
  readonly beforeMs?: number;
  readonly bytesMax?: number;
  readonly appliedTo: Offset;
}

export interface SegmentFacts {
  readonly bytes: number;
  readonly end: Offset;
  readonly newestAtMs: number;
}

/**
 * How many of the oldest segments to forget: those whose newest record arrived before `beforeMs`, and as many as
 * keep the rest within `bytesMax`; never one with a record at or after `appliedTo`, never the last, which is written.
 */
export function countForgettable(segments: readonly SegmentFacts[], policy: RetentionPolicy): number {
  const { beforeMs = Number.NEGATIVE_INFINITY, bytesMax = Number.POSITIVE_INFINITY, appliedTo } = policy;
  let bytes = segments.reduce((sum, one) => sum + one.bytes, 0);
  let count = 0;
  for (const one of segments.slice(0, -1)) {
    if (one.end > appliedTo || !(one.newestAtMs < beforeMs || bytes > bytesMax)) break;
    bytes -= one.bytes;
    count += 1;
  }
  return count;
}
