/**
 * A JSON document as lines: the elements of an array, or values one after the other, however they are laid
 * out. Nothing is parsed; line breaks between tokens become blanks, all else stays byte for byte.
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const NEWLINE = 10;

export async function* jsonElements(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const splitter = new Splitter();
  for await (const chunk of chunks) yield splitter.take(chunk);
  yield splitter.finish();
}

class Splitter {
  /** Open braces and brackets, without the outermost array. */
  #depth = 0;
  #inString = false;
  #escaped = false;
  #inArray = false;
  #begun = false;
  #inValue = false;

  take(chunk: Buffer): Buffer {
    const out = Buffer.allocUnsafe(chunk.length * 2);
    let size = 0;
    const put = (byte: number) => {
      out[size] = byte;
      size += 1;
    };
    for (const byte of chunk) {
      if (this.#inString) {
        put(byte);
        if (this.#escaped) this.#escaped = false;
        else if (byte === BACKSLASH) this.#escaped = true;
        else if (byte === QUOTE) this.#inString = false;
        continue;
      }
      const space = byte === 0x20 || byte === 0x09 || byte === NEWLINE || byte === 13;
      if (this.#depth === 0) {
        if (space || byte === COMMA) {
          if (this.#inValue) put(NEWLINE);
          this.#inValue = false;
          continue;
        }
        if (byte === 0x5b && !this.#begun) {
          this.#inArray = true;
          this.#begun = true;
          continue;
        }
        if (byte === 0x5d && this.#inArray) {
          if (this.#inValue) put(NEWLINE);
          this.#inValue = false;
          this.#inArray = false;
          continue;
        }
        // A byte order mark is no value.
        if (!this.#begun && (byte === 0xef || byte === 0xbb || byte === 0xbf)) continue;
      }
      this.#begun = true;
      this.#inValue = true;
      put(byte === NEWLINE || byte === 13 ? 0x20 : byte);
      if (byte === QUOTE) this.#inString = true;
      else if (byte === 0x7b || byte === 0x5b) this.#depth += 1;
      else if (byte === 0x7d || byte === 0x5d) {
        this.#depth -= 1;
        if (this.#depth === 0) {
          put(NEWLINE);
          this.#inValue = false;
        }
      }
    }
    return out.subarray(0, size);
  }

  finish(): Buffer {
    return this.#inValue ? Buffer.from('\n') : Buffer.alloc(0);
  }
}
