/**
 * What is found at start, and the segment that is begun for what will come. Segments that were closed are believed by
 * what the segment after them says of them; only the end of the last one is read, from the last entry of its index on.
 *
 *   a block that is not whole, nothing valid after it   a torn tail: nobody was told that it is durable, it does not
 *                                                       count
 *   the same, with a valid block header after it,       damage: records that were acknowledged are gone or
 *   or where the index says that a block was durable    unreadable; nothing is changed, the partition takes no more
 *   a whole block with flags that are not known         a later version wrote it: the same
 *
 * What is found is never written to, for the process that wrote it may only be paused. The last whole block is the one
 * that it may still cut back, because it does not know yet whether it is durable; so it is written again, as the first
 * of a new segment, and the one that it came from counts only up to there. That also makes it durable when it was only
 * in the page cache, of a process that was killed before its `datasync` or after one that failed and has left the pages
 * clean. What comes before it was durable, or nothing would have been written behind it.
 */
import { crc32 } from 'node:zlib';
import type { Offset } from '../base/brand.ts';
import type { MillraceError } from '../base/errors.ts';
import type { FileSystem, OpenFile } from '../base/files.ts';
import { follows, withoutStrays, withoutSuperseded } from './chain.ts';
import {
  BLOCK_HEADER_BYTES,
  decodeSegmentHeader,
  findBlockHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from './codec.ts';
import { blockTooNew, logDamaged } from './errors.ts';
import { type Found, walkBlocks } from './scan.ts';
import {
  addBlock,
  createSegment,
  emptySegment,
  headerAfter,
  indexPath,
  parseSegmentName,
  readIndexFile,
  type Segment,
  type SegmentName,
} from './segment.ts';

export interface Recovered {
  /** The last one is new and of the epoch, unless there is damage. */
  readonly segments: readonly Segment[];
  /** In the names of the segments that are made from now on: the owner's, or the greatest there is. */
  readonly epoch: number;
  /** Set when what is kept is not all that there was; `segments` is what comes before it. */
  readonly damage?: MillraceError;
}

interface Listed extends SegmentName {
  readonly path: string;
}

interface Opened extends Listed {
  readonly size: number;
  readonly header: SegmentHeader | undefined;
}

const OPEN_AT_ONCE = 16;
const SEARCH_BYTES = 4 * 2 ** 20;

export async function recoverPartition(
  files: FileSystem,
  directory: string,
  owner: { readonly epoch: number; readonly salt: () => number },
): Promise<Recovered> {
  const names = await files.readdir(directory);
  for (const name of names.filter((one) => one.endsWith('.new')))
    await files.unlink(`${directory}/${name}`).catch(() => undefined);
  const listed = names.flatMap((name): Listed[] => {
    const segment = parseSegmentName(name);
    return segment ? [{ ...segment, path: `${directory}/${name}` }] : [];
  });
  const epoch = Math.max(owner.epoch, ...listed.map((one) => one.epoch));
  const named = withoutSuperseded(listed);
  const opened: Opened[] = [];
  for (let first = 0; first < named.counting.length; first += OPEN_AT_ONCE) {
    const some = named.counting.slice(first, first + OPEN_AT_ONCE);
    opened.push(...(await Promise.all(some.map((one) => openSegment(files, one)))));
  }
  // What a process that was killed had renamed or removed shall not come back.
  await files.syncDirectory(directory);

  const { counting, leftOver } = withoutStrays(opened);
  const { segments, damage } = await readChain(files, counting);
  const last = segments.at(-1);
  if (damage || !last)
    return { segments: segments.map((one) => one.segment), epoch, ...(damage && { damage }) };
  const header = headerAfter(last.segment, owner.salt());
  const begun = await createSegment(files, directory, epoch, header, last.last);
  const replaced = last.segment.header.baseOffset === begun.header.baseOffset;
  const gone = [...named.leftOver, ...leftOver].map((one) => one.path);
  if (replaced && last.segment.path !== begun.path) gone.push(last.segment.path);
  for (const path of gone) {
    await files.unlink(path);
    await files.unlink(indexPath(path)).catch(() => undefined);
  }
  if (gone.length > 0) await files.syncDirectory(directory);
  const kept = segments.slice(0, replaced ? -1 : undefined);
  return { segments: [...kept.map((one) => one.segment), begun], epoch };
}

interface ReadSegment {
  readonly segment: Segment;
  /** Of the last segment: its last block, which is not in the segment's books. */
  readonly last?: Found;
}

interface ReadChain {
  readonly segments: readonly ReadSegment[];
  readonly damage?: MillraceError;
}

async function readChain(files: FileSystem, opened: readonly Opened[]): Promise<ReadChain> {
  const segments: ReadSegment[] = [];
  for (const [i, one] of opened.entries()) {
    if (!one.header || one.header.baseOffset !== one.baseOffset)
      return { segments, damage: headless(one.path) };
    const next = opened[i + 1];
    if (!next) {
      const last = await readLast(files, one, one.header);
      return { ...last, segments: [...segments, ...last.segments] };
    }
    if (!next.header) return { segments, damage: headless(next.path) };
    if (!follows(one, next.header)) {
      const why = `the segment with offset ${next.header.previousBase}, which comes before it, is missing`;
      return { segments, damage: logDamaged(next.path, 0, why) };
    }
    // Longer it may be: with a torn tail, or with what its owner wrote after another one had taken over.
    if (one.size < next.header.previousBytes) {
      const why = `it should have ${next.header.previousBytes} bytes and has ${one.size}`;
      return { segments, damage: logDamaged(one.path, one.size, why) };
    }
    const segment: Segment = {
      path: one.path,
      epoch: one.epoch,
      header: one.header,
      bytes: next.header.previousBytes,
      end: next.header.baseOffset,
      payloadBytes: next.header.payloadBefore - one.header.payloadBefore,
      newestAtMs: next.header.newestBeforeMs,
      index: undefined,
    };
    segments.push({ segment });
  }
  return { segments };
}

const headless = (path: string): MillraceError =>
  logDamaged(path, 0, 'it does not begin with the header of a segment');

async function openSegment(files: FileSystem, listed: Listed): Promise<Opened> {
  const file = await files.open(listed.path, 'read');
  try {
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
    const got = await file.read(bytes, 0);
    return { ...listed, size: await file.size(), header: decodeSegmentHeader(bytes.subarray(0, got)) };
  } finally {
    await file.close();
  }
}

async function readLast(
  files: FileSystem,
  { path, size, epoch }: Opened,
  header: SegmentHeader,
): Promise<ReadChain> {
  const segment = emptySegment(path, epoch, header);
  const entries = await readIndexFile(files, path, header);
  const proven = entries.at(-1);
  if (proven) {
    for (const entry of entries.slice(0, -1)) segment.index!.add(entry);
    segment.bytes = proven.position;
    segment.end = proven.offset as Offset;
    segment.payloadBytes = proven.payloadBefore;
    // Of the block before it is only known that it did not arrive later.
    segment.newestAtMs = proven.receivedAtMs;
  }
  const file = await files.open(path, 'read');
  try {
    const { last, unknownFlags } = await scanTail(file, segment, size);
    const end = last?.next ?? segment.bytes;
    const damaged = (damage: MillraceError): ReadChain => {
      if (last) addBlock(segment, last.header, last.position, last.next);
      return { segments: [{ segment }], damage };
    };
    if (unknownFlags !== 0) return damaged(blockTooNew(path, end, unknownFlags));
    if (proven && !last) return damaged(logDamaged(path, end, 'a block that was durable is gone'));
    const later = end < size ? await findLater(file, header.salt, end + 1, size) : -1;
    if (later >= 0) {
      const why = `the block there is not valid, and another one follows at byte ${later}`;
      return damaged(logDamaged(path, end, why));
    }
    return { segments: [{ segment, ...(last && { last }) }] };
  } finally {
    await file.close();
  }
}

/** Adds the valid blocks from the segment's end on but the last; stops at the first whose flags are not known. */
async function scanTail(
  file: OpenFile,
  segment: Segment,
  size: number,
): Promise<{ readonly last: Found | undefined; readonly unknownFlags: number }> {
  let last: Found | undefined;
  let end: number = segment.end;
  let newestAtMs = segment.newestAtMs;
  for await (const piece of walkBlocks(file, segment.header.salt, segment.bytes, size)) {
    for (const found of piece) {
      const { baseOffset, count, receivedAtMs, payloadCrc, unknownFlags } = found.header;
      if (baseOffset !== end || receivedAtMs < newestAtMs) return { last, unknownFlags: 0 };
      if (crc32(found.payload) !== payloadCrc) return { last, unknownFlags: 0 };
      if (unknownFlags !== 0) return { last, unknownFlags };
      if (last) addBlock(segment, last.header, last.position, last.next);
      last = found;
      end = baseOffset + count;
      newestAtMs = receivedAtMs;
    }
  }
  return { last, unknownFlags: 0 };
}

/** Position of a valid block header at or after `from`; -1 when there is none. */
async function findLater(file: OpenFile, salt: number, from: number, size: number): Promise<number> {
  for (let start = from; start < size; start += SEARCH_BYTES) {
    const piece = Buffer.allocUnsafe(Math.min(SEARCH_BYTES + BLOCK_HEADER_BYTES - 1, size - start));
    const got = await file.read(piece, start);
    const at = findBlockHeader(piece.subarray(0, got), 0, salt);
    if (at >= 0) return start + at;
  }
  return -1;
}
