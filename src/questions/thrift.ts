/**
 * Thrift's compact protocol, as much as the footer of a Parquet file needs: any struct can be read, changed and
 * written again without knowing all of its fields.
 *
 *     struct := field* 00          field := header value      header := (id delta << 4 | type), or type and zigzag id
 *     list   := (size << 4 | type), or F·type and size;  integers are zigzag varints
 */
export const I16 = 4;
export const I32 = 5;
export const I64 = 6;
export const LIST = 9;
export const STRUCT = 12;
const TRUE = 1;
const FALSE = 2;
const BYTE = 3;
const DOUBLE = 7;
const BINARY = 8;
const SET = 10;

export interface Field {
  readonly type: number;
  readonly value: Value;
}
export type Struct = Map<number, Field>;
export interface List {
  readonly type: number;
  readonly items: readonly Value[];
}
export type Value = bigint | boolean | Buffer | Struct | List;

const DEPTH_MAX = 32;

export function readStruct(bytes: Buffer): Struct {
  let at = 0;
  const byte = (): number => {
    const value = bytes[at];
    if (value === undefined) throw new Error('the struct ends too early');
    at += 1;
    return value;
  };
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const next = byte();
      value |= BigInt(next & 0x7f) << shift;
      if (next < 0x80) return value;
    }
  };
  const zigzag = (): bigint => {
    const value = varint();
    return (value >> 1n) ^ -(value & 1n);
  };
  const raw = (length: number): Buffer => {
    const value = bytes.subarray(at, at + length);
    if (value.length < length) throw new Error('the struct ends too early');
    at += length;
    return value;
  };
  const list = (depth: number): List => {
    const head = byte();
    const type = head & 0x0f;
    const size = head >> 4 === 15 ? Number(varint()) : head >> 4;
    const items: Value[] = [];
    // In a list, a truth is a byte of its own.
    for (let i = 0; i < size; i += 1)
      items.push(type <= FALSE ? byte() === TRUE : readValue(type, depth + 1));
    return { type, items };
  };
  const struct = (depth: number): Struct => {
    if (depth > DEPTH_MAX) throw new Error('the struct is too deep');
    const fields: Struct = new Map();
    for (let id = 0; ; ) {
      const head = byte();
      if (head === 0) return fields;
      id = head >> 4 === 0 ? Number(zigzag()) : id + (head >> 4);
      fields.set(id, { type: head & 0x0f, value: readValue(head & 0x0f, depth + 1) });
    }
  };
  const readValue = (type: number, depth: number): Value => {
    switch (type) {
      case TRUE:
      case FALSE:
        return type === TRUE;
      case BYTE:
        return raw(1);
      case I16:
      case I32:
      case I64:
        return zigzag();
      case DOUBLE:
        return raw(8);
      case BINARY:
        return raw(Number(varint()));
      case LIST:
      case SET:
        return list(depth);
      case STRUCT:
        return struct(depth);
      default:
        throw new Error(`type ${type} is not expected here`);
    }
  };
  return struct(0);
}

export function writeStruct(struct: Struct): Buffer {
  const parts: Buffer[] = [];
  const varint = (value: bigint): void => {
    const out: number[] = [];
    let rest = value;
    for (; rest >= 0x80n; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
    parts.push(Buffer.from([...out, Number(rest)]));
  };
  const zigzag = (value: bigint): void => varint(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)));
  const write = (type: number, value: Value): void => {
    if (typeof value === 'boolean') return;
    if (typeof value === 'bigint') zigzag(value);
    else if (Buffer.isBuffer(value)) {
      if (type === BINARY) varint(BigInt(value.length));
      parts.push(value);
    } else if (value instanceof Map) fields(value);
    else {
      listHead(value.type, value.items.length);
      for (const item of value.items) {
        if (typeof item === 'boolean') parts.push(Buffer.of(item ? TRUE : FALSE));
        else write(value.type, item);
      }
    }
  };
  const listHead = (type: number, size: number): void => {
    parts.push(Buffer.of((Math.min(size, 15) << 4) | type));
    if (size >= 15) varint(BigInt(size));
  };
  const fields = (of: Struct): void => {
    let last = 0;
    for (const [id, { type, value }] of [...of].sort(([a], [b]) => a - b)) {
      const delta = id - last;
      if (delta > 0 && delta < 16) parts.push(Buffer.of((delta << 4) | type));
      else {
        parts.push(Buffer.of(type));
        zigzag(BigInt(id));
      }
      write(type, value);
      last = id;
    }
    parts.push(Buffer.of(0));
  };
  fields(struct);
  return Buffer.concat(parts);
}
