/** One file of a partition. What stands here is durable; nothing beyond `bytes` is ever read. */
import type { Offset } from '../base/brand.ts';
import type { FileSystem } from '../base/files.ts';
import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  decodeIndex,
  encodeBlockHeader,
  encodeSegmentHeader,
  type IndexEntry,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from './codec.ts';
import { SparseIndex } from './sparse-index.ts';

export interface SegmentName {
  readonly baseOffset: number;
  /** Of the owner who made it and alone writes it. */
  readonly epoch: number;
}

export interface Segment {
  readonly path: string;
  readonly epoch: number;
  readonly header: SegmentHeader;
  /** Durable bytes, header included. */
  bytes: number;
  /** Offset after the last durable record. */
  end: Offset;
  /** Bytes of durable payload. */
  payloadBytes: number;
  /** Arrival of the newest record here or before. */
  newestAtMs: number;
  /** Of a segment that is no longer written, absent until somebody reads it. */
  index: SparseIndex | undefined;
}

export function segmentPath(directory: string, { baseOffset, epoch }: SegmentName): string {
  const suffix = epoch === 0 ? '' : `-${String(epoch).padStart(16, '0')}`;
  return `${directory}/${String(baseOffset).padStart(20, '0')}${suffix}.log`;
}

/** The inverse of the name that `segmentPath` gives; undefined for every other one. */
export function parseSegmentName(name: string): SegmentName | undefined {
  const match = /^(\d{20})(?:-(\d{16}))?\.log$/.exec(name);
  return match ? { baseOffset: Number(match[1]), epoch: Number(match[2] ?? 0) } : undefined;
}

export function indexPath(path: string): string {
  return path.replace(/\.log$/, '.idx');
}

export function emptySegment(path: string, epoch: number, header: SegmentHeader): Segment {
  return {
    path,
    epoch,
    header,
    bytes: SEGMENT_HEADER_BYTES,
    end: header.baseOffset,
    payloadBytes: 0,
    newestAtMs: header.newestBeforeMs,
    index: new SparseIndex(),
  };
}

/** The header of the segment after `last`, or of the one that takes its place when it is empty. */
export function headerAfter(last: Segment | undefined, salt: number): SegmentHeader {
  if (!last) {
    const none = 0 as Offset;
    return {
      salt,
      baseOffset: none,
      previousBase: none,
      previousBytes: 0,
      payloadBefore: 0,
      newestBeforeMs: 0,
      previousEpoch: 0,
    };
  }
  if (last.end === last.header.baseOffset) return { ...last.header, salt };
  return {
    salt,
    baseOffset: last.end,
    previousBase: last.header.baseOffset,
    previousBytes: last.bytes,
    payloadBefore: last.header.payloadBefore + last.payloadBytes,
    newestBeforeMs: last.newestAtMs,
    previousEpoch: last.epoch,
  };
}

/** A block to begin a segment with. */
export interface FirstBlock {
  readonly header: BlockHeader;
  readonly payload: Uint8Array;
}

/** Makes the segment durable, by content and by name. It takes the place of one with the same name. */
export async function createSegment(
  files: FileSystem,
  directory: string,
  epoch: number,
  header: SegmentHeader,
  first?: FirstBlock,
): Promise<Segment> {
  const path = segmentPath(directory, { baseOffset: header.baseOffset, epoch });
  const segment = emptySegment(path, epoch, header);
  const start = encodeSegmentHeader(header);
  if (!first) {
    await files.writeFileAtomic(path, start);
    return segment;
  }
  const block = [encodeBlockHeader(first.header, header.salt), first.payload];
  await files.writeFileAtomic(path, Buffer.concat([start, ...block]));
  const next = SEGMENT_HEADER_BYTES + BLOCK_HEADER_BYTES + first.header.payloadBytes;
  addBlock(segment, first.header, SEGMENT_HEADER_BYTES, next);
  return segment;
}

/** The entries of the index file that can be of this segment, in ascending order. */
export async function readIndexFile(
  files: FileSystem,
  path: string,
  header: SegmentHeader,
): Promise<IndexEntry[]> {
  const entries = decodeIndex((await files.readFile(indexPath(path))) ?? new Uint8Array(0), header.salt);
  const disorder = entries.findIndex((entry, i) => i > 0 && entry.position <= entries[i - 1]!.position);
  return disorder < 0 ? entries : entries.slice(0, disorder);
}

/** Takes a block that is durable into the books; true when the index has a new entry for it. */
export function addBlock(
  segment: Segment,
  block: Pick<BlockHeader, 'baseOffset' | 'count' | 'receivedAtMs' | 'payloadBytes'>,
  position: number,
  next: number,
): boolean {
  const indexed = segment.index!.wants(position);
  if (indexed) {
    segment.index!.add({
      offset: block.baseOffset,
      receivedAtMs: block.receivedAtMs,
      position,
      payloadBefore: segment.payloadBytes,
    });
  }
  segment.bytes = next;
  segment.end = (block.baseOffset + block.count) as Offset;
  segment.payloadBytes += block.payloadBytes;
  segment.newestAtMs = block.receivedAtMs;
  return indexed;
}

/** Bytes of payload in the segment before `offset`: exact where the index has an entry, else in proportion. */
export function payloadBeforeOffset(segment: Segment, offset: number): number {
  const from = segment.index?.atOffset(offset);
  const to = segment.index?.afterOffset(offset);
  const fromOffset = from?.offset ?? segment.header.baseOffset;
  const toOffset = to?.offset ?? segment.end;
  if (offset <= fromOffset) return from?.payloadBefore ?? 0;
  if (offset >= segment.end) return segment.payloadBytes;
  const fromBytes = from?.payloadBefore ?? 0;
  const share = (offset - fromOffset) / (toOffset - fromOffset);
  return Math.round(fromBytes + share * ((to?.payloadBefore ?? segment.payloadBytes) - fromBytes));
}
