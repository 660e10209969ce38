/**
 * NDJSON, the hot path: finds lines and looks at their first and last byte, builds no objects. Whether a line
 * is JSON and fits the stream is ingest's to say, which quarantines what is not.
 *
 * Good lines that follow each other are one slice of the body. A gap (blank or rejected line, `\r`) ends the
 * slice; from the first `\r`, or after SLICES_MAX slices, the rest is copied together instead.
 */
import { type Framed, type FrameRules, NEWLINE } from './framed.ts';
import { longerThan, Rejections } from './rejections.ts';

const SLICES_MAX = 256;
const LF = 10;
const CR = 13;
const OPEN = 0x7b;
const CLOSE = 0x7d;

export function frameNdjson(body: Buffer, rules: Pick<FrameRules, 'eventBytesMax' | 'grow'>): Framed {
  const rejections = new Rejections();
  const slices = new Slices(body, rules.grow);
  const length = body.length;
  let index = 0;
  for (let start = 0; start < length; ) {
    const newline = body.indexOf(LF, start);
    const next = newline < 0 ? length : newline + 1;
    let end = newline < 0 ? length : newline;
    if (end > start && body[end - 1] === CR) end -= 1;
    let first = start;
    while (first < end && isSpace(body[first]!)) first += 1;
    if (first < end) {
      let last = end - 1;
      while (isSpace(body[last]!)) last -= 1;
      if (end - start > rules.eventBytesMax) rejections.malform(index, longerThan(rules.eventBytesMax));
      else if (body[first] !== OPEN || body[last] !== CLOSE)
        rejections.malform(index, 'is not a JSON object');
      else slices.add(start, end);
      index += 1;
    }
    start = next;
  }
  return { records: slices.finish(), rejections };
}

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === CR;

class Slices {
  readonly #body: Buffer;
  readonly #grow: (bytes: number) => void;
  readonly #chunks: Uint8Array[] = [];
  #runStart = 0;
  #runEnd = 0;
  /** Where the rest is copied to, once slices no longer pay. */
  #copy: Buffer | undefined;
  #copied = 0;
  #count = 0;
  #bytes = 0;

  constructor(body: Buffer, grow: (bytes: number) => void) {
    this.#body = body;
    this.#grow = grow;
  }

  /** Takes the line `[start, end)`; the byte at `end` is `\n`, or `\r`, or the body is over. */
  add(start: number, end: number): void {
    this.#count += 1;
    this.#bytes += end - start + 1;
    if (start !== this.#runEnd) {
      this.#flush();
      this.#runStart = start;
      if (this.#chunks.length >= SLICES_MAX) this.#beginCopy(start);
    }
    if (this.#body[end] === CR) {
      this.#beginCopy(this.#runStart);
      this.#runEnd = end;
      this.#flush();
      this.#copy![this.#copied] = LF;
      this.#copied += 1;
      this.#runStart = end;
      this.#runEnd = end;
    } else {
      this.#runEnd = end + 1;
    }
  }

  finish() {
    const unended = this.#runEnd > this.#body.length;
    if (unended) this.#runEnd = this.#body.length;
    this.#flush();
    if (this.#copy !== undefined) this.#chunks.push(this.#copy.subarray(0, this.#copied));
    if (unended) this.#chunks.push(NEWLINE);
    return { chunks: this.#chunks, count: this.#count, bytes: this.#bytes };
  }

  #beginCopy(from: number): void {
    if (this.#copy !== undefined) return;
    const bytes = this.#body.length - from + 1;
    this.#grow(bytes);
    this.#copy = Buffer.allocUnsafe(bytes);
  }

  #flush(): void {
    if (this.#runEnd <= this.#runStart) return;
    if (this.#copy === undefined) this.#chunks.push(this.#body.subarray(this.#runStart, this.#runEnd));
    else this.#copied += this.#body.copy(this.#copy, this.#copied, this.#runStart, this.#runEnd);
    this.#runStart = this.#runEnd;
  }
}
