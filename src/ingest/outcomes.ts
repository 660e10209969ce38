/** What became of the records of recent batches, for senders that asked to wait until their events are stored. */
import type { Decision } from './decide.ts';
import type { Outcome } from './port.ts';

/** The records of a batch that were not simply stored. Offsets ascend. */
export type BatchOutcome = Pick<Decision, 'from' | 'to' | 'duplicates' | 'quarantined' | 'dropped' | 'late'>;

/** How many of ascending `offsets` lie in [from, to). */
export function countBetween(offsets: readonly number[], from: number, to: number): number {
  return lowerBound(offsets, to) - lowerBound(offsets, from);
}

function lowerBound(offsets: readonly number[], value: number): number {
  let low = 0;
  let high = offsets.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (offsets[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function outcomeBetween(batch: BatchOutcome, from: number, to: number): Outcome {
  const first = Math.max(from, batch.from);
  const end = Math.min(to, batch.to);
  const duplicates = countBetween(batch.duplicates, first, end);
  const quarantined = countBetween(batch.quarantined, first, end);
  const lateDropped = countBetween(batch.dropped, first, end);
  const late = countBetween(batch.late, first, end);
  return {
    stored: Math.max(0, end - first) - duplicates - quarantined - lateDropped,
    duplicates,
    quarantined,
    lateDropped,
    late,
  };
}

export function addOutcomes(a: Outcome, b: Outcome): Outcome {
  return {
    stored: a.stored + b.stored,
    duplicates: a.duplicates + b.duplicates,
    quarantined: a.quarantined + b.quarantined,
    lateDropped: a.lateDropped + b.lateDropped,
    late: a.late + b.late,
  };
}

export const NOTHING: Outcome = { stored: 0, duplicates: 0, quarantined: 0, lateDropped: 0, late: 0 };

const BATCHES_KEPT = 256;
const EXCEPTIONS_KEPT = 1_000_000;

/** The outcomes of the newest batches of one partition, bounded in number and size. */
export class RecentOutcomes {
  readonly #batches: BatchOutcome[] = [];
  #exceptions = 0;

  add(batch: BatchOutcome): void {
    this.#batches.push(batch);
    this.#exceptions += sizeOf(batch);
    while (
      this.#batches.length > 1 &&
      (this.#batches.length > BATCHES_KEPT || this.#exceptions > EXCEPTIONS_KEPT)
    ) {
      this.#exceptions -= sizeOf(this.#batches.shift()!);
    }
  }

  /** The outcome of [from, to), or undefined when part of it is not remembered any more. */
  between(from: number, to: number): Outcome | undefined {
    const oldest = this.#batches[0];
    if (!oldest || from < oldest.from) return undefined;
    let sum = NOTHING;
    for (const batch of this.#batches) {
      if (batch.to > from && batch.from < to) sum = addOutcomes(sum, outcomeBetween(batch, from, to));
    }
    return sum;
  }
}

const sizeOf = (batch: BatchOutcome): number =>
  batch.duplicates.length + batch.quarantined.length + batch.dropped.length + batch.late.length;
