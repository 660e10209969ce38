/**
 * Which segments of a directory count. An owner that was paused and taken over from may still make a segment, or write
 * to the last one that it made; what it writes then was promised to nobody. The one that took over has begun a segment
 * with a greater epoch, at or before every offset that the one before can still reach.
 */
import type { SegmentHeader } from './codec.ts';
import type { SegmentName } from './segment.ts';

export interface Sorted<Name> {
  /** By offset. */
  readonly counting: readonly Name[];
  readonly leftOver: readonly Name[];
}

/** A segment does not count when one with a greater epoch begins where it begins, or before. */
export function withoutSuperseded<Name extends SegmentName>(names: readonly Name[]): Sorted<Name> {
  const counting: Name[] = [];
  const leftOver: Name[] = [];
  let epoch = 0;
  for (const one of names.toSorted((a, b) => a.baseOffset - b.baseOffset || b.epoch - a.epoch)) {
    (one.epoch < epoch ? leftOver : counting).push(one);
    epoch = Math.max(epoch, one.epoch);
  }
  return { counting, leftOver };
}

export const follows = (before: SegmentName, header: SegmentHeader): boolean =>
  header.previousBase === before.baseOffset && header.previousEpoch === before.epoch;

/**
 * The same when the segment that superseded it has been forgotten since: it is not the one that the segment after it
 * names as the one before, which is of a later owner and named one that begins no later.
 */
export function withoutStrays<Name extends SegmentName & { readonly header: SegmentHeader | undefined }>(
  names: readonly Name[],
): Sorted<Name> {
  const counting: Name[] = [];
  const leftOver: Name[] = [];
  for (const one of names.toReversed()) {
    const header = counting[0]?.header;
    const isStray =
      header !== undefined &&
      one.epoch < counting[0]!.epoch &&
      one.baseOffset >= header.previousBase &&
      !follows(one, header);
    if (isStray) leftOver.push(one);
    else counting.unshift(one);
  }
  return { counting, leftOver };
}
