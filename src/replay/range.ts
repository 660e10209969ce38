/** Which offsets of each log partition are decided again. Facts in, ranges out; a range that is not there is refused. */
import { MillraceError } from '../base/errors.ts';
import type { ReplayBound } from './port.ts';

/** Offsets [from, to) of one log partition; the place in the array is its number. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** What is known of one log partition. */
export interface PartitionFacts {
  /** First offset that the log still holds, and when that record arrived (undefined when it holds none). */
  readonly start: number;
  readonly startMs: number | undefined;
  /** Everything below is in the store. */
  readonly applied: number;
  /** First offset at or after the moment asked for; undefined when no moment was. */
  readonly fromAt: number | undefined;
  readonly toAt: number | undefined;
  /** First offset that arrived on a day whose events retention has not dropped. */
  readonly kept: number;
}

export interface RangeFacts {
  readonly from: ReplayBound | undefined;
  readonly to: ReplayBound | undefined;
  readonly partitions: readonly PartitionFacts[];
  /** Start of the first day of arrival whose events retention has not dropped; undefined when it has dropped none. */
  readonly keptSinceMs: number | undefined;
}

export function rangesOf({ from, to, partitions, keptSinceMs }: RangeFacts): readonly Range[] {
  const ranges = partitions.map((facts, partition): Range => {
    const end = Math.min(boundOf(to, partition, facts.toAt) ?? facts.applied, facts.applied);
    const asked = boundOf(from, partition, facts.fromAt);
    // Offsets name the partitions that are meant; the others stay as they are.
    if (isOffsets(from) || isOffsets(to)) {
      const named = [from, to].some((bound) => isOffsets(bound) && Object.hasOwn(bound.offsets, partition));
      if (!named) return { from: end, to: end };
    }
    const first = asked ?? Math.max(facts.start, facts.kept);
    if (first >= end) return { from: end, to: end };
    refuseWhatIsGone(partition, first, asked, from, facts, keptSinceMs);
    return { from: first, to: end };
  });
  if (ranges.every((range) => range.from >= range.to))
    throw new MillraceError('bad-question', 'There are no applied records in this range.');
  return ranges;
}

const isOffsets = (bound: ReplayBound | undefined): bound is { offsets: Readonly<Record<string, number>> } =>
  bound !== undefined && 'offsets' in bound;

function boundOf(
  bound: ReplayBound | undefined,
  partition: number,
  at: number | undefined,
): number | undefined {
  return isOffsets(bound) ? bound.offsets[partition] : at;
}

function refuseWhatIsGone(
  partition: number,
  first: number,
  asked: number | undefined,
  from: ReplayBound | undefined,
  facts: PartitionFacts,
  keptSinceMs: number | undefined,
): void {
  const { start, startMs, kept } = facts;
  const when = startMs === undefined ? '' : `, which arrived at ${new Date(startMs).toISOString()}`;
  const askedMs = from && 'atMs' in from ? from.atMs : undefined;
  const timeIsGone =
    askedMs !== undefined && start > 0 && (startMs === undefined || askedMs < startMs) && first <= start;
  if (first < start || timeIsGone) {
    throw new MillraceError(
      'conflict',
      `the log of partition ${partition} begins at offset ${start}${when}: what came before is forgotten and cannot be replayed; begin there`,
    );
  }
  if (asked !== undefined && first < kept && keptSinceMs !== undefined) {
    throw new MillraceError(
      'conflict',
      `retention has dropped the events that arrived before ${new Date(keptSinceMs).toISOString()}: to store them again would count them twice in rollups that still know them; begin there (partition ${partition}: offset ${kept})`,
    );
  }
}

/** Every partition that the request names must be one. */
export function checkPartitions(bounds: readonly (ReplayBound | undefined)[], partitions: number): void {
  for (const bound of bounds) {
    if (!isOffsets(bound)) continue;
    for (const [name, offset] of Object.entries(bound.offsets)) {
      const isOne = /^\d{1,5}$/.test(name) && Number(name) < partitions;
      if (!isOne)
        throw new MillraceError(
          'bad-question',
          `There is no partition ${name}; they are 0 to ${partitions - 1}.`,
        );
      if (!Number.isSafeInteger(offset) || offset < 0)
        throw new MillraceError('bad-question', `The offset of partition ${name} must be a whole number.`);
    }
  }
}

/** SQL: does a row come from one of the ranges? */
export function within(ranges: readonly Range[]): string {
  const conditions = ranges.flatMap(({ from, to }, partition) =>
    from < to ? [`(_partition = ${partition} AND _offset >= ${from} AND _offset < ${to})`] : [],
  );
  return conditions.length === 0 ? 'false' : `(${conditions.join(' OR ')})`;
}

/** SQL: does a row lie below these offsets, one for each partition? */
export const below = (offsets: readonly number[]): string =>
  within(offsets.map((to): Range => ({ from: 0, to })));
