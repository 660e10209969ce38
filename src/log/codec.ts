/**
 * What lies on disk.
 *
 *   segment  := block*                              file OFFSET.log, named by its first offset (20 digits)
 *   block    := header payload
 *   header   := magic     u32  'MLB1'
 *               checksum  u32  CRC-32 of everything after it, payload included
 *               length    u32  bytes of payload
 *               count     u32  records
 *               offset    u64  of the first record
 *               received  u64  epoch ms; never decreases
 *               idBase    16 bytes                  a record's generated id is idBase + its place in the block
 *               reserved  16 bytes, zero
 *   payload  := (line '\n') * count
 *   index    := entry*                              file OFFSET.idx, a hint: wrong or missing entries cost time only
 *   entry    := offset u64, received u64, position u64, checksum u32 (CRC-32 of the 24 bytes before), zero u32
 *
 * Numbers are little endian.
 */
import { crc32 } from 'node:zlib';
import type { Offset } from '../base/brand.ts';
import type { LogBlock } from './port.ts';

export const HEADER_BYTES = 64;
export const ENTRY_BYTES = 32;
const MAGIC = 0x31_42_4c_4d;

export interface BlockHead {
  readonly baseOffset: Offset;
  readonly count: number;
  readonly receivedAtMs: number;
  readonly idBase: Uint8Array;
}

/** The header of a block whose payload is the chunks, one after the other. */
export function encodeHeader(
  head: BlockHead,
  chunks: readonly Uint8Array[],
  payloadBytes: number,
): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(payloadBytes, 8);
  header.writeUInt32LE(head.count, 12);
  header.writeBigUInt64LE(BigInt(head.baseOffset), 16);
  header.writeBigUInt64LE(BigInt(head.receivedAtMs), 24);
  header.set(head.idBase, 32);
  let checksum = crc32(header.subarray(8));
  for (const chunk of chunks) checksum = crc32(chunk, checksum);
  header.writeUInt32LE(checksum, 4);
  return header;
}

export type Decoded =
  | { readonly kind: 'block'; readonly block: LogBlock; readonly bytes: number }
  /** The bytes end before the block does; it needs at least `bytes`. */
  | { readonly kind: 'short'; readonly bytes: number }
  | { readonly kind: 'invalid' };

/** The block at the start of `bytes`. */
export function decodeBlock(bytes: Buffer): Decoded {
  if (bytes.byteLength < HEADER_BYTES) return { kind: 'short', bytes: HEADER_BYTES };
  if (bytes.readUInt32LE(0) !== MAGIC) return { kind: 'invalid' };
  const total = HEADER_BYTES + bytes.readUInt32LE(8);
  if (bytes.byteLength < total) return { kind: 'short', bytes: total };
  if (crc32(bytes.subarray(8, total)) !== bytes.readUInt32LE(4)) return { kind: 'invalid' };
  const block: LogBlock = {
    baseOffset: Number(bytes.readBigUInt64LE(16)) as Offset,
    count: bytes.readUInt32LE(12),
    receivedAtMs: Number(bytes.readBigUInt64LE(24)),
    idBase: bytes.subarray(32, 48),
    payload: bytes.subarray(HEADER_BYTES, total),
  };
  return { kind: 'block', block, bytes: total };
}

/** Is there a whole, valid block anywhere in `bytes`? Then what lies before it is damage and not a torn tail. */
export function holdsBlock(bytes: Buffer): boolean {
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(MAGIC, 0);
  for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 1)) {
    if (decodeBlock(bytes.subarray(at)).kind === 'block') return true;
  }
  return false;
}

/** Where a block begins: its first offset, its arrival, its place in the file. */
export interface IndexEntry {
  readonly offset: number;
  readonly receivedAtMs: number;
  readonly position: number;
}

export function encodeEntry(entry: IndexEntry): Uint8Array {
  const bytes = Buffer.alloc(ENTRY_BYTES);
  bytes.writeBigUInt64LE(BigInt(entry.offset), 0);
  bytes.writeBigUInt64LE(BigInt(entry.receivedAtMs), 8);
  bytes.writeBigUInt64LE(BigInt(entry.position), 16);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 24)), 24);
  return bytes;
}

/** The entries of an index file up to the first that is damaged. */
export function decodeEntries(bytes: Uint8Array): IndexEntry[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: IndexEntry[] = [];
  for (let at = 0; at + ENTRY_BYTES <= buffer.byteLength; at += ENTRY_BYTES) {
    if (crc32(buffer.subarray(at, at + 24)) !== buffer.readUInt32LE(at + 24)) break;
    entries.push({
      offset: Number(buffer.readBigUInt64LE(at)),
      receivedAtMs: Number(buffer.readBigUInt64LE(at + 8)),
      position: Number(buffer.readBigUInt64LE(at + 16)),
    });
  }
  return entries;
}
