import type { Records } from '../log/port.ts';

const PAGE_BYTES_MIN = 4 * 1_024;
const PAGE_BYTES_MAX = 2 ** 20;

/** Collects lines into a few large chunks: many small ones would cost more memory than the lines. */
export class LineWriter {
  readonly #chunks: Uint8Array[] = [];
  #page = Buffer.alloc(0);
  #used = 0;
  #count = 0;
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Copies `source[start, end)`, which holds no newline, and ends the line. */
  add(source: Buffer, start = 0, end = source.length): void {
    const length = end - start + 1;
    if (this.#used + length > this.#page.length) this.#turn(length);
    source.copy(this.#page, this.#used, start, end);
    this.#page[this.#used + length - 1] = 10;
    this.#used += length;
    this.#bytes += length;
    this.#count += 1;
  }

  #turn(length: number): void {
    this.#flush();
    const wanted = Math.min(PAGE_BYTES_MAX, Math.max(PAGE_BYTES_MIN, this.#bytes));
    this.#page = Buffer.allocUnsafeSlow(Math.max(wanted, length));
    this.#used = 0;
  }

  #flush(): void {
    if (this.#used > 0) this.#chunks.push(this.#page.subarray(0, this.#used));
  }

  /** Everything so far. Nothing may be added afterwards. */
  finish(): Records {
    this.#flush();
    this.#used = 0;
    this.#page = Buffer.alloc(0);
    return { chunks: this.#chunks, count: this.#count, bytes: this.#bytes };
  }
}
