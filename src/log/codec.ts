/**
 * What lies on disk.
 *
 *   DIRECTORY/TENANT/STREAM/PARTITION/
 *     OFFSET-EPOCH.log       a segment, named by its first offset (20 digits) and the epoch of the owner who made
 *                            it and alone writes it (16 digits; without `-EPOCH`: 0)
 *     OFFSET-EPOCH.idx       its sparse index
 *
 *   segment       := segmentHeader block*
 *   segmentHeader := magic          u32  'MLS1'
 *                    checksum       u32  CRC-32 of the 56 bytes that follow
 *                    version        u32  1
 *                    salt           u32  random; starts the checksum of each block header and index entry
 *                    baseOffset     u64
 *                    previousBase   u64  \ the segment before this one: its first offset and how many of its bytes
 *                    previousBytes  u64  / count (0 and 0: there was none); see also previousEpoch
 *                    payloadBefore  u64  bytes of payload in all the records before baseOffset
 *                    newestBeforeMs u64  arrival of the newest record before baseOffset, or later, but not after
 *                                        that of the first record here
 *                    previousEpoch  u64  the epoch in the name of the segment before this one
 *   block         := blockHeader payload
 *   blockHeader   := magic          u32  'MLB1'
 *                    checksum       u32  CRC-32, started with the salt, of the 48 bytes that follow
 *                    payloadCrc     u32  CRC-32 of the payload
 *                    payloadBytes   u32
 *                    count          u32  records
 *                    flags          u32  bit 0: the records were replayed; the others are 0, and a block where
 *                                        they are not was written by a later version: not read, not cut off
 *                    baseOffset     u64
 *                    receivedAtMs   u64  epoch ms; never decreases along a partition
 *                    idBase         16 bytes; the generated id of record i is idBase + i
 *   payload       := (line '\n') * count
 *
 *   index         := indexEntry*          only of blocks that are durable
 *   indexEntry    := checksum       u32  CRC-32, started with the salt, of the 36 bytes that follow
 *                    reserved       u32  0
 *                    offset         u64  \
 *                    receivedAtMs   u64   | of a block
 *                    position       u64  /
 *                    payloadBefore  u64  bytes of payload in the segment before that block
 *
 * Numbers are little endian. The salt is never sent to anybody: bytes that a sender chose cannot be a block.
 */
import { crc32 } from 'node:zlib';
import type { Offset } from '../base/brand.ts';

export const SEGMENT_HEADER_BYTES = 64;
export const BLOCK_HEADER_BYTES = 56;
export const INDEX_ENTRY_BYTES = 40;
/** No block is larger: its length is a u32, and it is read in one piece. */
export const PAYLOAD_BYTES_MAX = 2 ** 30;

const SEGMENT_MAGIC = 0x31_53_4c_4d;
const BLOCK_MAGIC = 0x31_42_4c_4d;
const VERSION = 1;
const REPLAYED = 1;
const U32 = 2 ** 32;

export interface SegmentHeader {
  readonly salt: number;
  readonly baseOffset: Offset;
  readonly previousBase: Offset;
  readonly previousBytes: number;
  readonly payloadBefore: number;
  readonly newestBeforeMs: number;
  readonly previousEpoch: number;
}

export interface BlockHeader {
  readonly payloadCrc: number;
  readonly payloadBytes: number;
  readonly count: number;
  readonly baseOffset: Offset;
  readonly receivedAtMs: number;
  readonly idBase: Uint8Array;
  readonly replayed: boolean;
}

/** A header as it is found: whoever uses the block looks at `unknownFlags` first. */
export interface FoundBlockHeader extends BlockHeader {
  /** Flags that this version does not know; 0 when it knows all that is to know of the block. */
  readonly unknownFlags: number;
}

export interface IndexEntry {
  readonly offset: number;
  readonly receivedAtMs: number;
  readonly position: number;
  readonly payloadBefore: number;
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  bytes.writeUInt32LE(SEGMENT_MAGIC, 0);
  bytes.writeUInt32LE(VERSION, 8);
  bytes.writeUInt32LE(header.salt, 12);
  writeU64(bytes, header.baseOffset, 16);
  writeU64(bytes, header.previousBase, 24);
  writeU64(bytes, header.previousBytes, 32);
  writeU64(bytes, header.payloadBefore, 40);
  writeU64(bytes, header.newestBeforeMs, 48);
  writeU64(bytes, header.previousEpoch, 56);
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4);
  return bytes;
}

export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.byteLength < SEGMENT_HEADER_BYTES || bytes.readUInt32LE(0) !== SEGMENT_MAGIC) return undefined;
  if (crc32(bytes.subarray(8, SEGMENT_HEADER_BYTES)) !== bytes.readUInt32LE(4)) return undefined;
  if (bytes.readUInt32LE(8) !== VERSION) return undefined;
  return {
    salt: bytes.readUInt32LE(12),
    baseOffset: readU64(bytes, 16) as Offset,
    previousBase: readU64(bytes, 24) as Offset,
    previousBytes: readU64(bytes, 32),
    payloadBefore: readU64(bytes, 40),
    newestBeforeMs: readU64(bytes, 48),
    previousEpoch: readU64(bytes, 56),
  };
}

export function encodeBlockHeader(header: BlockHeader, salt: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(BLOCK_HEADER_BYTES);
  bytes.writeUInt32LE(BLOCK_MAGIC, 0);
  bytes.writeUInt32LE(header.payloadCrc, 8);
  bytes.writeUInt32LE(header.payloadBytes, 12);
  bytes.writeUInt32LE(header.count, 16);
  bytes.writeUInt32LE(header.replayed ? REPLAYED : 0, 20);
  writeU64(bytes, header.baseOffset, 24);
  writeU64(bytes, header.receivedAtMs, 32);
  bytes.set(header.idBase, 40);
  bytes.writeUInt32LE(crc32(bytes.subarray(8), salt), 4);
  return bytes;
}

/** The header at `at`; undefined when there is none, or when it is damaged, or cut off. */
export function decodeBlockHeader(bytes: Buffer, at: number, salt: number): FoundBlockHeader | undefined {
  const end = at + BLOCK_HEADER_BYTES;
  if (end > bytes.byteLength || bytes.readUInt32LE(at) !== BLOCK_MAGIC) return undefined;
  if (crc32(bytes.subarray(at + 8, end), salt) !== bytes.readUInt32LE(at + 4)) return undefined;
  const flags = bytes.readUInt32LE(at + 20);
  return {
    payloadCrc: bytes.readUInt32LE(at + 8),
    payloadBytes: bytes.readUInt32LE(at + 12),
    count: bytes.readUInt32LE(at + 16),
    baseOffset: readU64(bytes, at + 24) as Offset,
    receivedAtMs: readU64(bytes, at + 32),
    idBase: bytes.subarray(at + 40, end),
    replayed: (flags & REPLAYED) !== 0,
    unknownFlags: (flags & ~REPLAYED) >>> 0,
  };
}

const magicBytes = Buffer.alloc(4);
magicBytes.writeUInt32LE(BLOCK_MAGIC, 0);

/** Where the first block header at or after `from` stands; -1 when there is none. */
export function findBlockHeader(bytes: Buffer, from: number, salt: number): number {
  for (let at = bytes.indexOf(magicBytes, from); at >= 0; at = bytes.indexOf(magicBytes, at + 1)) {
    if (decodeBlockHeader(bytes, at, salt)) return at;
  }
  return -1;
}

export function encodeIndexEntry(entry: IndexEntry, salt: number): Uint8Array {
  const bytes = Buffer.alloc(INDEX_ENTRY_BYTES);
  writeU64(bytes, entry.offset, 8);
  writeU64(bytes, entry.receivedAtMs, 16);
  writeU64(bytes, entry.position, 24);
  writeU64(bytes, entry.payloadBefore, 32);
  bytes.writeUInt32LE(crc32(bytes.subarray(4), salt), 0);
  return bytes;
}

/** The entries up to the first that is damaged or of another segment. */
export function decodeIndex(file: Uint8Array, salt: number): IndexEntry[] {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const entries: IndexEntry[] = [];
  for (let at = 0; at + INDEX_ENTRY_BYTES <= bytes.byteLength; at += INDEX_ENTRY_BYTES) {
    if (crc32(bytes.subarray(at + 4, at + INDEX_ENTRY_BYTES), salt) !== bytes.readUInt32LE(at)) break;
    entries.push({
      offset: readU64(bytes, at + 8),
      receivedAtMs: readU64(bytes, at + 16),
      position: readU64(bytes, at + 24),
      payloadBefore: readU64(bytes, at + 32),
    });
  }
  return entries;
}

/** Exact below 2^53, and without the BigInt that the standard way makes. */
function writeU64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value % U32, at);
  bytes.writeUInt32LE(Math.floor(value / U32), at + 4);
}

function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * U32;
}
