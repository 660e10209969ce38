/**
 * Where a follower stands in each log partition, as the id of a message:
 *
 *     id        = position *( "," position )
 *     position  = partition ":" offset        ; offsets below it were sent
 */
import type { Offset } from '../../base/brand.ts';

/** Offsets [from, to) of one log partition. */
export interface OffsetRange {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

export type Positions = ReadonlyMap<number, Offset>;

export const formatPositions = (positions: Positions): string =>
  [...positions].map(([partition, offset]) => `${partition}:${offset}`).join(',');

const PARTITIONS_MAX = 64;

/** Undefined when it is not an id of ours. */
export function parsePositions(id: string): Positions | undefined {
  const parts = id.split(',');
  if (parts.length > PARTITIONS_MAX) return undefined;
  const positions = new Map<number, Offset>();
  for (const part of parts) {
    const match = /^(\d{1,2}):(\d{1,15})$/.exec(part);
    if (!match) return undefined;
    positions.set(Number(match[1]), Number(match[2]) as Offset);
  }
  return positions;
}

/** What lies between two places; empty when `to` is not ahead anywhere. */
export function rangesBetween(from: Positions, to: Positions): readonly OffsetRange[] {
  return [...to].flatMap(([partition, end]) => {
    const start = from.get(partition) ?? 0;
    return end > start ? [{ partition, from: start, to: end }] : [];
  });
}

/** On the way from one place to another, at most so many records further in each partition. */
export const towards = (from: Positions, to: Positions, most: number): Positions =>
  new Map(
    [...to].map(([partition, end]) => [
      partition,
      Math.min(end, (from.get(partition) ?? 0) + most) as Offset,
    ]),
  );

/** Whether somewhere in it lies behind what there is: it is of an earlier stream of the name. */
export const isAhead = (position: Positions, applied: Positions): boolean =>
  [...position].some(([partition, offset]) => offset > (applied.get(partition) ?? 0));

/** In each partition of the second the place that lies further. */
export const furtherOf = (one: Positions, other: Positions): Positions =>
  new Map(
    [...other].map(([partition, offset]) => [partition, Math.max(offset, one.get(partition) ?? 0) as Offset]),
  );
