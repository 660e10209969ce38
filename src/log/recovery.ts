/**
 * What is found at start. Segments that were closed are believed by what the segment after them says of them;
 * only the end of the last one is read, from the last entry of its index on.
 *
 *   a block that is not whole, nothing valid after it   a torn tail: nobody was told that it is durable, it is cut
 *   the same, with a valid block header after it,       damage: records that were acknowledged are gone or
 *   or where the index says that a block was durable    unreadable; nothing is changed, the partition takes no more
 *   a whole block with flags that are not known         a later version wrote it: the same
 */
import { crc32 } from 'node:zlib';
import type { Offset } from '../base/brand.ts';
import type { MillraceError } from '../base/errors.ts';
import type { FileSystem, OpenFile } from '../base/files.ts';
import {
  BLOCK_HEADER_BYTES,
  decodeSegmentHeader,
  findBlockHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
} from './codec.ts';
import { blockTooNew, logDamaged } from './errors.ts';
import { walkBlocks } from './scan.ts';
import { addBlock, emptySegment, readIndexFile, type Segment, segmentPath } from './segment.ts';

export interface Recovered {
  readonly segments: readonly Segment[];
  /** Set when what is kept is not all that there was; `segments` is what comes before it. */
  readonly damage?: MillraceError;
}

interface Opened {
  readonly path: string;
  readonly size: number;
  readonly header: SegmentHeader | undefined;
}

const OPEN_AT_ONCE = 16;
const SEARCH_BYTES = 4 * 2 ** 20;

export async function recoverPartition(files: FileSystem, directory: string): Promise<Recovered> {
  const names = await files.readdir(directory);
  for (const name of names.filter((one) => one.endsWith('.new'))) await files.unlink(`${directory}/${name}`);
  const logs = names.filter((name) => /^\d{20}\.log$/.test(name)).sort();
  const opened: Opened[] = [];
  for (let first = 0; first < logs.length; first += OPEN_AT_ONCE) {
    const some = logs.slice(first, first + OPEN_AT_ONCE);
    opened.push(...(await Promise.all(some.map((name) => openSegment(files, `${directory}/${name}`)))));
  }
  // What a process that was killed had renamed or removed shall not come back.
  await files.syncDirectory(directory);

  const segments: Segment[] = [];
  for (const [i, one] of opened.entries()) {
    if (!one.header || one.path !== segmentPath(directory, one.header.baseOffset))
      return { segments, damage: logDamaged(one.path, 0, 'it does not begin with the header of a segment') };
    const next = opened[i + 1];
    if (!next) {
      const last = await recoverLast(files, one.path, one.size, one.header);
      return { ...last, segments: [...segments, ...last.segments] };
    }
    if (!next.header)
      return { segments, damage: logDamaged(next.path, 0, 'it does not begin with the header of a segment') };
    if (next.header.previousBase !== one.header.baseOffset) {
      const why = `the segment with offset ${next.header.previousBase}, which comes before it, is missing`;
      return { segments, damage: logDamaged(next.path, 0, why) };
    }
    if (next.header.previousBytes !== one.size) {
      const why = `it should have ${next.header.previousBytes} bytes and has ${one.size}`;
      return {
        segments,
        damage: logDamaged(one.path, Math.min(one.size, next.header.previousBytes), why),
      };
    }
    segments.push({
      path: one.path,
      header: one.header,
      bytes: one.size,
      end: next.header.baseOffset,
      payloadBytes: next.header.payloadBefore - one.header.payloadBefore,
      newestAtMs: next.header.newestBeforeMs,
      index: undefined,
    });
  }
  return { segments };
}

async function openSegment(files: FileSystem, path: string): Promise<Opened> {
  const file = await files.open(path, 'read');
  try {
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
    const got = await file.read(bytes, 0);
    return { path, size: await file.size(), header: decodeSegmentHeader(bytes.subarray(0, got)) };
  } finally {
    await file.close();
  }
}

async function recoverLast(
  files: FileSystem,
  path: string,
  size: number,
  header: SegmentHeader,
): Promise<Recovered> {
  const segment = emptySegment(path, header);
  const entries = await readIndexFile(files, path, header);
  const file = await files.open(path, 'update');
  try {
    const proven = entries.at(-1);
    if (proven) {
      for (const entry of entries) segment.index!.add(entry);
      segment.bytes = proven.position;
      segment.end = proven.offset as Offset;
      segment.payloadBytes = proven.payloadBefore;
      segment.newestAtMs = proven.receivedAtMs;
    }
    const { lastBlock, unknownFlags } = await scanTail(file, segment, size);
    const { bytes } = segment;
    if (unknownFlags !== 0) return { segments: [segment], damage: blockTooNew(path, bytes, unknownFlags) };
    if (proven && bytes <= proven.position)
      return { segments: [segment], damage: logDamaged(path, bytes, 'a block that was durable is gone') };
    if (bytes < size) {
      const later = await findLater(file, header.salt, bytes + 1, size);
      if (later >= 0) {
        const why = `the block there is not valid, and another one follows at byte ${later}`;
        return { segments: [segment], damage: logDamaged(path, bytes, why) };
      }
      await file.truncate(bytes);
    }
    await makeDurable(file, lastBlock, bytes);
    return { segments: [segment] };
  } finally {
    await file.close();
  }
}

/** Adds the valid blocks from the segment's end on, up to the first whose flags are not known. */
async function scanTail(
  file: OpenFile,
  segment: Segment,
  size: number,
): Promise<{ readonly lastBlock: number; readonly unknownFlags: number }> {
  let lastBlock = segment.bytes;
  for await (const piece of walkBlocks(file, segment.header.salt, segment.bytes, size)) {
    for (const { header, position, next, payload } of piece) {
      const { unknownFlags } = header;
      const follows = header.baseOffset === segment.end && header.receivedAtMs >= segment.newestAtMs;
      if (!follows || crc32(payload) !== header.payloadCrc) return { lastBlock, unknownFlags: 0 };
      if (unknownFlags !== 0) return { lastBlock, unknownFlags };
      addBlock(segment, header, position, next);
      lastBlock = position;
    }
  }
  return { lastBlock, unknownFlags: 0 };
}

/**
 * The last block may be only in the page cache, of a process that was killed before its `datasync`, or after one
 * that failed and has left the pages clean: then only writing it again brings it to the disk. What comes before it
 * was durable, or nothing would have been written behind it.
 */
async function makeDurable(file: OpenFile, position: number, end: number): Promise<void> {
  const block = Buffer.allocUnsafe(end - position);
  await file.read(block, position);
  if (block.byteLength > 0) await file.writev([block], position);
  await file.datasync();
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
