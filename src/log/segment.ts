/** One file of a partition. What stands here is durable; nothing beyond `bytes` is ever read. */
import type { Offset } from '../base/brand.ts';
import type { FileSystem } from '../base/files.ts';
import {
  type BlockHeader,
  decodeIndex,
  encodeSegmentHeader,
  type IndexEntry,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from './codec.ts';
import { SparseIndex } from './sparse-index.ts';

export interface Segment {
  readonly path: string;
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

export function segmentPath(directory: string, baseOffset: number): string {
  return `${directory}/${String(baseOffset).padStart(20, '0')}.log`;
}

export function indexPath(path: string): string {
  return path.replace(/\.log$/, '.idx');
}

export function emptySegment(path: string, header: SegmentHeader): Segment {
  return {
    path,
    header,
    bytes: SEGMENT_HEADER_BYTES,
    end: header.baseOffset,
    payloadBytes: 0,
    newestAtMs: header.newestBeforeMs,
    index: new SparseIndex(),
  };
}

/** Makes the segment durable, by content and by name. It takes the place of an empty one of the same offset. */
export async function createSegment(
  files: FileSystem,
  directory: string,
  header: SegmentHeader,
): Promise<Segment> {
  const path = segmentPath(directory, header.baseOffset);
  await files.writeFileAtomic(path, encodeSegmentHeader(header));
  return emptySegment(path, header);
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
