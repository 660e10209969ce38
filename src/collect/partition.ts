/**
 * Which partition each line goes to. A stream of one partition, the default, never comes here beyond the first
 * line; with more, every line is parsed, which costs several microseconds an event.
 *
 * The key is the value of `partitionBy`, else of `eventId`, else of `_id`: copies of one event meet in one
 * partition, where the duplicate is seen. Events without any go to the partition whose turn it is.
 */
import { type FieldType, fieldOf, namesOf, type StreamDefinition } from '../define/model.ts';
import type { Records } from '../log/port.ts';
import { LineWriter } from './line-writer.ts';

/** Lines by partition, in order; empty ones are left out. `turn` is the partition of events without a key. */
export function partitioned(
  stream: StreamDefinition,
  records: Records,
  turn: number,
  grow: (bytes: number) => void,
): ReadonlyMap<number, Records> {
  if (records.count === 0) return new Map();
  if (stream.partitions <= 1) return new Map([[0, records]]);
  grow(records.bytes);
  const writers = new Map<number, LineWriter>();
  for (const { source, start, end } of linesOf(records)) {
    const partition = partitionOf(stream, source.toString('utf8', start, end), turn);
    let writer = writers.get(partition);
    if (writer === undefined) {
      writer = new LineWriter();
      writers.set(partition, writer);
    }
    writer.add(source, start, end);
  }
  return new Map([...writers].map(([partition, writer]) => [partition, writer.finish()]));
}

/** The lines without their newlines. A line ends with its chunk, or its newline is the next chunk. */
function* linesOf(records: Records): Generator<{ source: Buffer; start: number; end: number }> {
  for (const chunk of records.chunks) {
    const source = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let start = 0; start < source.length; ) {
      const newline = source.indexOf(10, start);
      const end = newline < 0 ? source.length : newline;
      if (end > start) yield { source, start, end };
      start = end + 1;
    }
  }
}

/** The partition of one line. `turn` is the partition of events without a key. */
export function partitionOf(stream: StreamDefinition, line: string, turn: number): number {
  if (stream.partitions <= 1) return 0;
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    return 0;
  }
  if (typeof event !== 'object' || event === null) return 0;
  const keys = [stream.partitionBy, stream.eventId ?? '_id'].flatMap((key) => everyName(stream, key));
  for (const name of keys) {
    if (!Object.hasOwn(event, name)) continue;
    const value = (event as Record<string, unknown>)[name];
    if (value === null) continue;
    return fnv1a(canonical(value, fieldOf(stream, name)?.type)) % stream.partitions;
  }
  return turn % stream.partitions;
}

/** A key that was renamed may come under its earlier names. */
function everyName(stream: StreamDefinition, key: string | undefined): readonly string[] {
  if (key === undefined) return [];
  const field = fieldOf(stream, key);
  return field ? namesOf(field) : [key];
}

/** One text for every way to send one value: 7 and "7", a UUID in either case. */
function canonical(value: unknown, type: FieldType | undefined): string {
  if (typeof value === 'object') return JSON.stringify(value);
  const text = String(value);
  switch (type?.kind) {
    case 'int32':
    case 'int64':
    case 'uint64':
    case 'float64':
    case 'decimal': {
      const number = Number(text);
      return Number.isFinite(number) ? String(number === 0 ? 0 : number) : text;
    }
    case 'uuid':
      return text.toLowerCase().replaceAll('-', '');
    default:
      return text;
  }
}

/** FNV-1a, 32 bits, over UTF-8. Written into the layout of every log: it may never change. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
