/**
 * What is kept of one version of one rollup, and how it came to be right.
 *
 *   cold ──warm──▶ warming ──snapshot whole──▶ hot
 *    ▲               │ ▲                        │
 *    └──── given up ─┴─┴── a batch is missing ──┘
 *
 * The snapshot is one look at the rollup's table and carries the table's own marks: how far each log partition was
 * applied in it. Batches that are applied while it is read wait in line. A batch that the marks (or what came since) have
 * is left out; the next one is added; one that leaves a gap makes everything be read again. So every batch is in it
 * once, whatever was retried, restarted or swapped.
 */
import { RecentBuckets } from './recent-buckets.ts';
import { RowReader } from './rows.ts';
import type { HotShape } from './shape.ts';

/** What one batch adds. Without rows: they were not read. */
export interface Delta {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  /** Rows of earlier buckets may be missing. */
  readonly fromSeconds: number;
  /** False: a row for each event (`eventsSql`). */
  readonly isGrouped: boolean;
  readonly rows: Uint8Array | undefined;
}

export type Standing = 'cold' | 'warming' | 'hot';

const WAITING_BYTES_MAX = 32 * 2 ** 20;

export class KeptRollup {
  readonly shape: HotShape;
  readonly #reader: RowReader;
  #standing: Standing = 'cold';
  #recent: RecentBuckets | undefined;
  #waiting: Delta[] = [];
  #waitingBytes = 0;
  /** Bytes at the last measurement. */
  bytes = 0;

  constructor(shape: HotShape) {
    this.shape = shape;
    this.#reader = new RowReader(shape);
  }

  get standing(): Standing {
    return this.#standing;
  }

  get recent(): RecentBuckets | undefined {
    return this.#recent;
  }

  begin(fromSeconds: number): void {
    this.#standing = 'warming';
    this.#recent = new RecentBuckets(this.shape, fromSeconds);
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.bytes = 0;
  }

  /** A piece of the snapshot: whole rows. */
  load(rows: Uint8Array): void {
    const recent = this.#recent!;
    this.#reader.read(rows);
    while (this.#reader.next()) {
      const { row } = this.#reader;
      if (row.tier > 0) recent.add(row);
      else recent.positions.set(row.bucket, Math.max(recent.positionOf(row.bucket), row.applied));
    }
    this.measure();
  }

  /** The snapshot is whole. False: a batch is missing, and it must be read again. */
  complete(): boolean {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#standing = 'hot';
    return waiting.every((delta) => this.#add(delta));
  }

  /** Takes a batch in the moment in which it is applied. False: it does not fit behind what is there. */
  apply(delta: Delta): boolean {
    if (this.#standing === 'hot') return this.#add(delta);
    if (this.#standing === 'warming') {
      this.#waiting.push(delta);
      this.#waitingBytes += delta.rows?.byteLength ?? 0;
      return this.#waitingBytes <= WAITING_BYTES_MAX;
    }
    return true;
  }

  chill(): void {
    this.#standing = 'cold';
    this.#recent = undefined;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.bytes = 0;
  }

  measure(): void {
    this.bytes = this.#recent?.bytes ?? 0;
  }

  #add({ partition, from, to, fromSeconds, isGrouped, rows }: Delta): boolean {
    const recent = this.#recent!;
    const position = recent.positionOf(partition);
    if (to <= position) return true;
    if (from !== position || rows === undefined) return false;
    // A clock that was set back may have made memory reach further back than what was read.
    recent.forgetBefore(fromSeconds);
    this.#reader.read(rows);
    const { row } = this.#reader;
    const width = this.shape.everySeconds;
    while (this.#reader.next()) {
      if (!isGrouped) row.bucket = Math.floor(row.bucket / (width * 1_000)) * width;
      recent.add(row);
    }
    recent.positions.set(partition, to);
    this.measure();
    return true;
  }
}
