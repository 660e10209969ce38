/**
 * Blocks of the format `Native` for clients that name a version of the protocol (`client_protocol_version`): they expect
 * a head in front of each block, and a mark behind the type of each column, which the engine's format does not write.
 *
 *   block  := [head] columns (varint), rows (varint), column*
 *   head   := 01, overflows (u8), 02, bucket (i32), 00
 *   column := name (text), type (text), [custom serialisation (u8): 0], prefix, values      (nothing behind the mark in a block of 0 rows)
 *   text   := length (varint), bytes
 *
 * To find where a column ends its type is read: the sizes are those of the engine's serialisation of each type.
 */
import { Refusal } from './refusal.ts';

const HEAD = Buffer.from([1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0]);
/** From this version on columns carry the mark. */
const CUSTOM_SERIALIZATION_SINCE = 54_454;

export function nativeBlocksFor(version: number): ((chunk: Uint8Array) => Uint8Array) | undefined {
  if (version <= 0) return undefined;
  const marked = version >= CUSTOM_SERIALIZATION_SINCE;
  return (chunk) => {
    const reader = new Reader(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    const pieces: Uint8Array[] = [];
    while (!reader.ended) {
      pieces.push(HEAD);
      const start = reader.at;
      const columns = reader.varint();
      const rows = reader.varint();
      pieces.push(reader.since(start));
      for (let column = 0; column < columns; column += 1) {
        const from = reader.at;
        reader.text();
        const type = parseType(reader.text());
        pieces.push(reader.since(from));
        if (marked) pieces.push(Buffer.of(0));
        const values = reader.at;
        if (rows > 0) {
          skipPrefix(reader, type);
          skipValues(reader, type, rows);
        }
        pieces.push(reader.since(values));
      }
    }
    return Buffer.concat(pieces);
  };
}

class Reader {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.at >= this.#bytes.length;
  }

  since(start: number): Buffer {
    return this.#bytes.subarray(start, this.at);
  }

  skip(bytes: number): void {
    this.at += bytes;
    if (this.at > this.#bytes.length) throw new Error('a block of Native ends too early');
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes[this.at];
      if (byte === undefined || shift > 49) throw new Error('a block of Native ends in a number');
      this.at += 1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  uint64(): number {
    this.skip(8);
    return Number(this.#bytes.readBigUInt64LE(this.at - 8));
  }

  text(): string {
    const length = this.varint();
    this.skip(length);
    return this.#bytes.toString('utf8', this.at - length, this.at);
  }
}

export interface Type {
  readonly name: string;
  /** Types among the arguments, or the arguments as they stand. */
  readonly of: readonly Type[];
}

/** `Array(Nullable(String))`; elements of tuples may have names. */
export function parseType(text: string): Type {
  const open = text.indexOf('(');
  if (open === -1) return { name: text.trim(), of: [] };
  const name = text.slice(0, open).trim();
  const args = splitArguments(text.slice(open + 1, text.lastIndexOf(')')));
  if (!NESTING.has(name)) return { name, of: args.map((one) => ({ name: one, of: [] })) };
  return { name, of: args.map((one) => parseType(name === 'Tuple' ? withoutName(one) : one)) };
}

const NESTING = new Set(['Array', 'Nullable', 'LowCardinality', 'Tuple', 'Map']);

/** `a String`, `` `b c` String ``; a type alone has no blank outside of its parentheses. */
const withoutName = (element: string): string =>
  /^(?:`(?:[^`\\]|\\.)*`|\w+) (.+)$/s.exec(element)?.[1] ?? element;

function splitArguments(text: string): readonly string[] {
  const found: string[] = [];
  let depth = 0;
  let start = 0;
  for (const match of text.matchAll(/'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|[(),]/g)) {
    if (match[0] === '(') depth += 1;
    if (match[0] === ')') depth -= 1;
    if (match[0] !== ',' || depth > 0) continue;
    found.push(text.slice(start, match.index).trim());
    start = match.index + 1;
  }
  found.push(text.slice(start).trim());
  return found;
}

const SIZES: Readonly<Record<string, number>> = {
  ...{ Bool: 1, Int8: 1, UInt8: 1, Enum8: 1, Nothing: 1 },
  ...{ Int16: 2, UInt16: 2, Enum16: 2, Date: 2, BFloat16: 2 },
  ...{ Int32: 4, UInt32: 4, Float32: 4, DateTime: 4, Date32: 4, IPv4: 4, Decimal32: 4 },
  ...{ Int64: 8, UInt64: 8, Float64: 8, DateTime64: 8, Decimal64: 8 },
  ...{ Int128: 16, UInt128: 16, UUID: 16, IPv6: 16, Decimal128: 16 },
  ...{ Int256: 32, UInt256: 32, Decimal256: 32 },
};

function sizeOf({ name, of }: Type): number | undefined {
  if (name === 'FixedString') return Number(of[0]?.name);
  if (name === 'Decimal') {
    const precision = Number(of[0]?.name);
    return precision <= 9 ? 4 : precision <= 18 ? 8 : precision <= 38 ? 16 : 32;
  }
  return name.startsWith('Interval') ? 8 : SIZES[name];
}

/** What stands in front of all values of a column: the version of each dictionary in it. */
function skipPrefix(reader: Reader, type: Type): void {
  if (type.name === 'LowCardinality') reader.skip(8);
  else if (NESTING.has(type.name)) for (const inner of type.of) skipPrefix(reader, inner);
}

function skipValues(reader: Reader, type: Type, rows: number): void {
  if (rows === 0) return;
  const size = sizeOf(type);
  const [first] = type.of;
  if (size !== undefined) {
    reader.skip(size * rows);
  } else if (type.name === 'String') {
    for (let row = 0; row < rows; row += 1) reader.skip(reader.varint());
  } else if (type.name === 'Nullable') {
    reader.skip(rows);
    skipValues(reader, first!, rows);
  } else if (type.name === 'Array') {
    skipValues(reader, first!, lastOffset(reader, rows));
  } else if (type.name === 'Tuple') {
    for (const inner of type.of) skipValues(reader, inner, rows);
  } else if (type.name === 'Map') {
    const entries = lastOffset(reader, rows);
    for (const inner of type.of) skipValues(reader, inner, entries);
  } else if (type.name === 'LowCardinality') {
    skipDictionary(reader, first!);
  } else {
    throw new Refusal('NOT_IMPLEMENTED', `The type ${type.name} cannot be sent in this version of Native`);
  }
}

function lastOffset(reader: Reader, rows: number): number {
  reader.skip(8 * (rows - 1));
  return reader.uint64();
}

/** keys and the number of the key of each row: kind (u64, width of the numbers in its last byte), n, keys, rows, numbers */
function skipDictionary(reader: Reader, type: Type): void {
  const kind = reader.uint64();
  const keys = reader.uint64();
  skipValues(reader, type.name === 'Nullable' ? type.of[0]! : type, keys);
  const rows = reader.uint64();
  reader.skip(rows * 2 ** (kind % 256));
}
