/** The recent buckets of one version of one rollup, and how far each log partition is in them. */
import { Keys } from './keys.ts';
import type { HotRow } from './rows.ts';
import { Segment } from './segment.ts';
import type { HotShape } from './shape.ts';
import { Wishes } from './wishes.ts';

export class RecentBuckets {
  readonly shape: HotShape;
  readonly keys: Keys;
  /** Everything from here on is there; epoch seconds, the start of a bucket. */
  fromSeconds: number;
  /** Offset below which everything of a log partition is there, as far as its buckets are. */
  readonly positions = new Map<number, number>();
  /** Buckets whose events are asked for. */
  readonly wishes = new Wishes();
  readonly #segments = new Map<number, Segment>();
  /** By bucket. */
  readonly #ordered: Segment[] = [];

  constructor(shape: HotShape, fromSeconds: number) {
    this.shape = shape;
    this.keys = new Keys(shape.dimensions.length);
    this.fromSeconds = fromSeconds;
  }

  /** Walks over what it holds: not for every question. */
  get bytes(): number {
    let bytes = this.keys.bytes;
    for (const segment of this.#ordered) bytes += segment.bytes;
    return bytes;
  }

  get rows(): number {
    return this.#ordered.reduce((sum, segment) => sum + segment.count, 0);
  }

  /** Buckets that hold anything. */
  get buckets(): number {
    return this.#ordered.length;
  }

  positionOf(partition: number): number {
    return this.positions.get(partition) ?? 0;
  }

  add({ bucket, dimensions, states }: Pick<HotRow, 'bucket' | 'dimensions' | 'states'>): void {
    if (bucket < this.fromSeconds) return;
    const key = this.keys.intern(dimensions);
    const segment = this.#segments.get(bucket) ?? this.#begin(bucket);
    if (segment.add(key, states)) this.keys.hold(key);
  }

  /** Segments of the buckets in [from, to), by time. */
  between(fromSeconds: number, toSeconds: number): readonly Segment[] {
    return this.#ordered.slice(this.#indexOf(fromSeconds), this.#indexOf(toSeconds));
  }

  /** Of a bucket that holds anything. */
  segmentOf(bucket: number): Segment | undefined {
    return this.#segments.get(bucket);
  }

  /** Forgets the events of the oldest buckets but so many, which are read again when they are asked for; true if there were any. */
  forgetEvents(kept = 0): boolean {
    const held = this.#ordered.filter((segment) => segment.events?.isWhole);
    const gone = held.slice(0, Math.max(0, held.length - kept));
    for (const segment of gone) segment.events = undefined;
    return gone.length > 0;
  }

  /** Forgets the buckets before. */
  forgetBefore(seconds: number): void {
    if (seconds <= this.fromSeconds) return;
    this.fromSeconds = seconds;
    const gone = this.#ordered.splice(0, this.#indexOf(seconds));
    for (const segment of gone) {
      this.#segments.delete(segment.bucket);
      for (let row = 0; row < segment.count; row += 1) this.keys.drop(segment.keyAt(row));
    }
  }

  /** Forgets the oldest bucket that holds anything; false when only the newest is left. */
  forgetOldest(): boolean {
    const next = this.#ordered[1];
    if (next === undefined) return false;
    this.forgetBefore(next.bucket);
    return true;
  }

  #begin(bucket: number): Segment {
    const segment = new Segment(bucket, this.shape);
    this.#segments.set(bucket, segment);
    this.#ordered.splice(this.#indexOf(bucket), 0, segment);
    return segment;
  }

  /** Of the first segment at or behind. Most of what comes is new, most of what is asked for is near the end. */
  #indexOf(seconds: number): number {
    let low = 0;
    let high = this.#ordered.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ordered[middle]!.bucket < seconds) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
