/**
 * What the engine says about each record of a staged batch, as it comes over (RowBinary, little endian, by offset):
 *
 *   rows := row*
 *   row  := offset u64 | idHash u128 (0: no id of its own) | code u16 (0: can be stored) | timeMs i64 | hasUnknownFields u8
 */
export const STAGED_ROW_BYTES = 35;
const U32 = 2 ** 32;

export class StagedRows {
  readonly count: number;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.count = bytes.byteLength / STAGED_ROW_BYTES;
  }

  /** The rows of the offsets [from, to). */
  between(from: number, to: number): StagedRows {
    const [first, end] = [this.#rowAt(from), this.#rowAt(to)];
    const at = this.#view.byteOffset + first * STAGED_ROW_BYTES;
    const bytes = new Uint8Array(this.#view.buffer, at, (end - first) * STAGED_ROW_BYTES);
    return new StagedRows(bytes);
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
    const at = row * STAGED_ROW_BYTES;
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * U32;
  }

  /** One of the four 32-bit words of the id's hash. */
  word(row: number, index: number): number {
    return this.#view.getUint32(row * STAGED_ROW_BYTES + 8 + index * 4, true);
  }

  hasId(row: number): boolean {
    return (this.word(row, 0) | this.word(row, 1) | this.word(row, 2) | this.word(row, 3)) !== 0;
  }

  code(row: number): number {
    return this.#view.getUint16(row * STAGED_ROW_BYTES + 24, true);
  }

  timeMs(row: number): number {
    const at = row * STAGED_ROW_BYTES + 26;
    return this.#view.getUint32(at, true) + this.#view.getInt32(at + 4, true) * U32;
  }

  hasUnknownFields(row: number): boolean {
    return this.#view.getUint8(row * STAGED_ROW_BYTES + 34) !== 0;
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
