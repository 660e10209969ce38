/**
 * What the engine says about the records of a staged batch, as it comes over (RowBinary, little endian, by offset):
 *
 *   rows := row*
 *   row  := offset u64 | idHash u128 (0: no id of its own) | code u16 (0: can be stored) | [timeMs i64]
 *
 * `timeMs` is there for streams that judge lateness. Records that could be stored, have no id and are not judged may
 * be left out.
 */
const WITHOUT_TIME_BYTES = 26;
const WITH_TIME_BYTES = 34;
const U32 = 2 ** 32;

export class StagedRows {
  readonly count: number;
  readonly #view: DataView;
  readonly #rowBytes: number;

  constructor(bytes: Uint8Array, withTime: boolean) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#rowBytes = withTime ? WITH_TIME_BYTES : WITHOUT_TIME_BYTES;
    this.count = bytes.byteLength / this.#rowBytes;
  }

  /** The rows of the offsets [from, to). */
  between(from: number, to: number): StagedRows {
    const [first, end] = [this.#rowAt(from), this.#rowAt(to)];
    const at = this.#view.byteOffset + first * this.#rowBytes;
    const bytes = new Uint8Array(this.#view.buffer, at, (end - first) * this.#rowBytes);
    return new StagedRows(bytes, this.#rowBytes === WITH_TIME_BYTES);
  }

  /** The first row at or behind an offset. */
  #rowAt(offset: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.offset(middle) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  offset(row: number): number {
    const at = row * this.#rowBytes;
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * U32;
  }

  /** One of the four 32-bit words of the id's hash. */
  word(row: number, index: number): number {
    return this.#view.getUint32(row * this.#rowBytes + 8 + index * 4, true);
  }

  hasId(row: number): boolean {
    return (this.word(row, 0) | this.word(row, 1) | this.word(row, 2) | this.word(row, 3)) !== 0;
  }

  code(row: number): number {
    return this.#view.getUint16(row * this.#rowBytes + 24, true);
  }

  timeMs(row: number): number {
    return Number(this.#view.getBigInt64(row * this.#rowBytes + 26, true));
  }

  /** The hashes of all ids, four words each. */
  idWords(): Uint32Array {
    const words = new Uint32Array(this.count * 4);
    let used = 0;
    for (let row = 0; row < this.count; row += 1) {
      if (!this.hasId(row)) continue;
      for (let index = 0; index < 4; index += 1) words[used + index] = this.word(row, index);
      used += 4;
    }
    return words.subarray(0, used);
  }
}
