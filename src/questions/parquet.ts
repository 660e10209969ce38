/**
 * Parquet files, one behind the other, as one file.
 *
 *     file := "PAR1" row group* footer, length of footer (uint32, little endian), "PAR1"
 *
 * Row groups pass through as they are. Their descriptions, which the footers hold, say where in the file things lie:
 * these places are moved, and one footer at the end describes all. Written without page indexes and filters, which
 * hold places of their own. (parquet.thrift of format 2.)
 */
import { I16, I64, LIST, type List, readStruct, STRUCT, type Struct, writeStruct } from './thrift.ts';

const MAGIC = Buffer.from('PAR1');
const TAIL_BYTES = 8;
/** Descriptions are kept until the end. */
const DESCRIPTIONS_BYTES_MAX = 2 ** 26;
const ORDINAL_MAX = 32_767n;

/** Fields of `FileMetaData`, `RowGroup`, `ColumnChunk`, `ColumnMetaData` that we touch. */
const FILE = { rows: 3, rowGroups: 4 };
const GROUP = { columns: 1, place: 5, ordinal: 7 };
const COLUMN = { place: 2, metadata: 3, places: [4, 6] };
const METADATA = { places: [9, 10, 11, 14] };

export async function* joinParquet(files: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  let position = MAGIC.length;
  let footer: Struct | undefined;
  let rows = 0n;
  const groups: Buffer[] = [];
  let held = 0;
  for await (const file of files) {
    const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
    const { end, metadata } = footerOf(bytes);
    // Also an answer without rows has one: its schema.
    if (footer === undefined) yield MAGIC;
    footer ??= metadata;
    rows += metadata.get(FILE.rows)!.value as bigint;
    for (const group of (metadata.get(FILE.rowGroups)?.value as List | undefined)?.items ?? []) {
      moveGroup(group as Struct, BigInt(position - MAGIC.length), BigInt(groups.length));
      const described = writeStruct(group as Struct);
      groups.push(described);
      held += described.length;
    }
    if (held > DESCRIPTIONS_BYTES_MAX) throw new Error('the file has too many row groups');
    if (end > MAGIC.length) yield bytes.subarray(MAGIC.length, end);
    position += end - MAGIC.length;
  }
  if (footer === undefined) throw new Error('the engine wrote no Parquet file');
  footer.set(FILE.rows, { type: I64, value: rows });
  footer.delete(FILE.rowGroups);
  yield* endOf(footer, groups);
}

function footerOf(bytes: Buffer): { readonly end: number; readonly metadata: Struct } {
  const tail = bytes.length - TAIL_BYTES;
  if (tail < MAGIC.length || !bytes.subarray(-4).equals(MAGIC)) {
    throw new Error('the engine wrote a Parquet file that is none');
  }
  const end = tail - bytes.readUInt32LE(tail);
  return { end, metadata: readStruct(bytes.subarray(end, tail)) };
}

function moveGroup(group: Struct, by: bigint, ordinal: bigint): void {
  move(group, GROUP.place, by);
  if (ordinal <= ORDINAL_MAX) group.set(GROUP.ordinal, { type: I16, value: ordinal });
  else group.delete(GROUP.ordinal);
  for (const item of (group.get(GROUP.columns)!.value as List).items) {
    const column = item as Struct;
    for (const place of [COLUMN.place, ...COLUMN.places]) move(column, place, by);
    const metadata = column.get(COLUMN.metadata)?.value as Struct | undefined;
    if (metadata) for (const place of METADATA.places) move(metadata, place, by);
  }
}

function move(struct: Struct, field: number, by: bigint): void {
  const found = struct.get(field);
  // Zero says that there is no such place.
  if (found && found.value !== 0n)
    struct.set(field, { type: found.type, value: (found.value as bigint) + by });
}

/** The footer with the descriptions of all row groups put in as they were written before. */
function* endOf(footer: Struct, groups: readonly Buffer[]): Generator<Uint8Array, void, void> {
  const before: Struct = new Map([...footer].filter(([id]) => id < FILE.rowGroups));
  const behind: Struct = new Map([...footer].filter(([id]) => id > FILE.rowGroups));
  // A list of no structs, to get its head; then the real one of the same form.
  const withList = writeStruct(
    new Map([...before, [FILE.rowGroups, { type: LIST, value: { type: STRUCT, items: [] } }]]),
  );
  const head = withList.subarray(0, -2);
  const tail = writeStruct(new Map([...behind].map(([id, field]) => [id - FILE.rowGroups, field])));
  const parts = [head, listHead(groups.length), ...groups, tail];
  const length = Buffer.alloc(4);
  length.writeUInt32LE(parts.reduce((sum, part) => sum + part.length, 0));
  yield Buffer.concat([...parts, length, MAGIC]);
}

function listHead(size: number): Buffer {
  if (size < 15) return Buffer.of((size << 4) | STRUCT);
  const digits: number[] = [];
  let rest = size;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) digits.push((rest & 0x7f) | 0x80);
  return Buffer.from([0xf0 | STRUCT, ...digits, rest]);
}
