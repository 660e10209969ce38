/**
 * Rows of a rollup's finest tier as they come from the engine (RowBinary, little endian):
 *
 *   row  := tier u32 | bucket i64 | applied u64 | dimension* | state*
 *   dimension, state := [isNull u8 where the column may be null] value
 *   value := text (length as LEB128, UTF-8) | u64 | i128 | i256 | f64
 *
 * A row of tier 0 says how far a log partition (its bucket) is applied in the table; nothing else of it counts.
 */
import { periodOf, quoteIdentifier } from '../store/index.ts';
import { dimensionText, type HotShape } from './shape.ts';
import { type HotValue, narrowed, type Whole } from './values.ts';

const U32 = 2 ** 32;
const NOTHING = Buffer.alloc(0);
/** Rows that are added in one go, a few milliseconds. */
const SNAPSHOT_ROWS_AT_ONCE = 8_192;

/** One row; the same object and arrays for all rows of a reader. */
export interface HotRow {
  tier: number;
  bucket: number;
  applied: number;
  readonly dimensions: (string | null)[];
  readonly states: HotValue[];
}

export class RowReader {
  readonly #shape: HotShape;
  readonly row: HotRow;
  #bytes: Buffer = NOTHING;
  #at = 0;

  constructor(shape: HotShape) {
    this.#shape = shape;
    this.row = {
      ...{ tier: 0, bucket: 0, applied: 0 },
      dimensions: new Array<string | null>(shape.dimensions.length).fill(null),
      states: new Array<HotValue>(shape.states.length).fill(null),
    };
  }

  /** Begins to read whole rows. */
  read(bytes: Uint8Array): void {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = 0;
  }

  /** False at the end; else `row` is the next one. */
  next(): boolean {
    if (this.#at >= this.#bytes.length) {
      this.#bytes = NOTHING;
      return false;
    }
    const { row } = this;
    row.tier = this.#bytes.readUInt32LE(this.#at);
    this.#at += 4;
    row.bucket = Number(this.#bytes.readBigInt64LE(this.#at));
    this.#at += 8;
    row.applied = this.#u64();
    const { dimensions, states } = this.#shape;
    for (let i = 0; i < dimensions.length; i += 1)
      row.dimensions[i] = this.#isNull(dimensions[i]!.optional) ? null : this.#text();
    for (let i = 0; i < states.length; i += 1) row.states[i] = this.#value(states[i]!);
    return true;
  }

  #value({ optional, wire }: HotShape['states'][number]): HotValue {
    if (this.#isNull(optional)) return null;
    switch (wire) {
      case 'u64':
        return this.#u64();
      case 'i128':
        return this.#i128();
      case 'i256':
        return this.#i256();
      case 'text':
        return this.#text();
      case 'f64':
        this.#at += 8;
        return this.#bytes.readDoubleLE(this.#at - 8);
    }
  }

  #isNull(optional: boolean): boolean {
    if (!optional) return false;
    this.#at += 1;
    return this.#bytes[this.#at - 1] === 1;
  }

  /** Counts of events and offsets are exact below 2^53. */
  #u64(): number {
    this.#at += 8;
    return this.#bytes.readUInt32LE(this.#at - 8) + this.#bytes.readUInt32LE(this.#at - 4) * U32;
  }

  #i128(): Whole {
    const at = this.#at;
    this.#at += 16;
    const bytes = this.#bytes;
    const middle = bytes.readUInt32LE(at + 4);
    if (middle < 0x20_0000 && bytes.readUInt32LE(at + 8) === 0 && bytes.readUInt32LE(at + 12) === 0)
      return bytes.readUInt32LE(at) + middle * U32;
    return narrowed((bytes.readBigInt64LE(at + 8) << 64n) + bytes.readBigUInt64LE(at));
  }

  #i256(): Whole {
    const low = this.#bytes.readBigUInt64LE(this.#at) + (this.#bytes.readBigUInt64LE(this.#at + 8) << 64n);
    const high =
      this.#bytes.readBigUInt64LE(this.#at + 16) + (this.#bytes.readBigInt64LE(this.#at + 24) << 64n);
    this.#at += 32;
    return narrowed((high << 128n) + low);
  }

  #text(): string {
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes[this.#at]!;
      this.#at += 1;
      length += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    this.#at += length;
    return this.#bytes.toString('utf8', this.#at - length, this.#at);
  }
}

const dimensionTexts = (shape: HotShape): string[] =>
  shape.dimensions.map(
    (dimension) =>
      `CAST(${dimensionText(dimension)}, '${dimension.optional ? 'Nullable(String)' : 'String'}')`,
  );

/** SQL of the columns of a row, over a relation that has the rollup's columns. */
export function rowColumns(shape: HotShape): string {
  return [
    'toUInt32(_tier)',
    'toInt64(_bucket)',
    "CAST(_applied, 'UInt64')",
    ...dimensionTexts(shape),
    ...shape.states.map(({ select }) => select),
  ].join(', ');
}

/** What a single event adds, row by row; the bucket of such a row is the event's time in milliseconds. */
export function eventsSql(shape: HotShape, source: string): string {
  const states = shape.states.map(({ name, select, fromEvent }) =>
    select.replace(quoteIdentifier(name), () => fromEvent),
  );
  return `SELECT ${[`toUInt32(${shape.everySeconds})`, '_time', 'toUInt64(0)', ...dimensionTexts(shape), ...states].join(', ')} FROM ${source}`;
}

/** The events of a bucket, as `eventsSql` has them, below an offset of each log partition. */
export function bucketEventsSql(
  shape: HotShape,
  table: string,
  bucket: number,
  offsets: readonly number[],
  rowsMax: number,
): string {
  const moment = (seconds: number): string => `fromUnixTimestamp64Milli(toInt64(${seconds * 1_000}), 'UTC')`;
  const below = offsets.map((offset, partition) => `(_partition = ${partition} AND _offset < ${offset})`);
  const source = `${table} WHERE _time >= ${moment(bucket)} AND _time < ${moment(bucket + shape.everySeconds)} AND (${below.join(' OR ')})`;
  return `${eventsSql(shape, source)} LIMIT ${rowsMax}
SETTINGS max_block_size = ${SNAPSHOT_ROWS_AT_ONCE}, max_threads = 1`;
}

/** The rows that a set of stored events adds; `source` is a relation with the columns of the events table. */
export function deltaSql(shape: HotShape, source: string, fromSeconds: number): string {
  const dimensions = shape.dimensions.map(({ column }) => quoteIdentifier(column));
  const width = shape.everySeconds;
  const ms = 'toUnixTimestamp64Milli(_time)';
  const states = shape.states.map(
    ({ name, fromEvents }) => `${fromEvents} AS ${quoteIdentifier(`s.${name}`)}`,
  );
  const outer = shape.states.map(({ name }) => `${quoteIdentifier(`s.${name}`)} AS ${quoteIdentifier(name)}`);
  const groups = `SELECT ${[...dimensions, `intDiv(${ms} - positiveModulo(${ms}, ${width * 1_000}), 1000) AS _bucket`, ...states].join(', ')}
FROM ${source} WHERE ${ms} >= ${fromSeconds * 1_000} GROUP BY ${[...dimensions, '_bucket'].join(', ')}`;
  const named = `SELECT ${[`${width} AS _tier`, '_bucket', '0 AS _applied', ...dimensions, ...outer].join(', ')} FROM (${groups})`;
  return `SELECT ${rowColumns(shape)} FROM (${named})`;
}

/** The recent rows of a rollup's table together with its applied marks: one look at the table, so that they agree. */
export function snapshotSql(shape: HotShape, table: string, fromSeconds: number): string {
  const period = periodOf(shape.everySeconds, fromSeconds);
  return `SELECT ${rowColumns(shape)} FROM ${table}
WHERE (_tier = 0 AND _bucket >= 0) OR (_tier = ${shape.everySeconds} AND _period >= ${period} AND _bucket >= ${fromSeconds})
SETTINGS max_block_size = ${SNAPSHOT_ROWS_AT_ONCE}, max_threads = 1`;
}
