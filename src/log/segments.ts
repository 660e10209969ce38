/** The segments of a partition, oldest first; the last one is written. */
import type { Offset } from '../base/brand.ts';
import type { PartitionState } from './port.ts';
import { payloadBeforeOffset, type Segment } from './segment.ts';

export class Segments {
  readonly #list: Segment[];

  constructor(list: readonly Segment[] = []) {
    this.#list = [...list];
  }

  get all(): readonly Segment[] {
    return this.#list;
  }

  get last(): Segment | undefined {
    return this.#list.at(-1);
  }

  get end(): Offset {
    return this.last?.end ?? (0 as Offset);
  }

  /** A segment that begins where the last one begins takes its place: the last one was empty. */
  add(segment: Segment): void {
    if (this.last?.header.baseOffset === segment.header.baseOffset) this.#list.pop();
    this.#list.push(segment);
  }

  removeFirst(): void {
    this.#list.shift();
  }

  has(segment: Segment): boolean {
    return this.#list[this.#placeOf(segment.header.baseOffset)] === segment;
  }

  /** The segment that holds `offset`, which is at least the start, and those after it. */
  from(offset: number): readonly Segment[] {
    return this.#list.slice(Math.max(0, this.#placeOf(offset)));
  }

  /** The first segment with a record that arrived at or after `atMs`. */
  atTime(atMs: number): Segment | undefined {
    return this.#list.find((one) => one.end > one.header.baseOffset && one.newestAtMs >= atMs);
  }

  state(): PartitionState {
    return {
      start: this.#list[0]?.header.baseOffset ?? (0 as Offset),
      end: this.end,
      bytes: this.#list.reduce((sum, one) => sum + one.bytes, 0),
      newestAtMs: this.last?.newestAtMs ?? 0,
    };
  }

  payloadAfter(offset: number): number {
    const { last } = this;
    if (!last || offset >= last.end) return 0;
    const segment = this.#list[Math.max(0, this.#placeOf(offset))]!;
    const end = last.header.payloadBefore + last.payloadBytes;
    return end - segment.header.payloadBefore - payloadBeforeOffset(segment, offset);
  }

  /** Place of the last segment that begins at or before `offset`; -1 when there is none. */
  #placeOf(offset: number): number {
    let low = 0;
    let high = this.#list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#list[middle]!.header.baseOffset <= offset) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
