/** The log's twin in memory, for tests: the same promises without the disk. Each append is a block of its own. */
import type { Offset, PartitionKey } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import { BLOCK_HEADER_BYTES, SEGMENT_HEADER_BYTES } from './codec.ts';
import { noLongerKept, stopping } from './errors.ts';
import { Listeners } from './listeners.ts';
import { PartitionMap } from './partition-map.ts';
import type { Appended, AppendOptions, Log, LogBlock, PartitionState, Records } from './port.ts';
import { checkRecords } from './records.ts';
import { countForgettable } from './retention.ts';

export interface MemoryLogOptions {
  readonly clock: Clock;
  readonly ids: Ids;
  /** Size at which a segment is closed: what `retain` forgets at once. */
  readonly segmentBytes?: number;
}

interface MemorySegment {
  readonly blocks: LogBlock[];
  bytes: number;
  end: Offset;
  newestAtMs: number;
}

const SEGMENT_BYTES = 128 * 2 ** 20;

class MemoryPartition {
  readonly #segments: MemorySegment[] = [];
  readonly #segmentBytes: number;

  constructor(segmentBytes: number) {
    this.#segmentBytes = segmentBytes;
  }

  append(records: Records, own: AppendOptions | undefined, nowMs: number, ids: Ids): LogBlock {
    const bytes = BLOCK_HEADER_BYTES + records.bytes;
    const last = this.#segments.at(-1);
    const receivedAtMs = Math.max(nowMs, last?.newestAtMs ?? 0);
    const baseOffset = last?.end ?? (0 as Offset);
    let segment = last;
    if (!segment || segment.bytes + bytes > this.#segmentBytes) {
      segment = { blocks: [], bytes: SEGMENT_HEADER_BYTES, end: baseOffset, newestAtMs: receivedAtMs };
      this.#segments.push(segment);
    }
    const block = {
      baseOffset,
      count: records.count,
      receivedAtMs,
      idBase: own?.idBase?.slice() ?? ids.uuidV7(receivedAtMs),
      replayed: own?.replayed ?? false,
      payload: Buffer.concat(records.chunks),
    };
    segment.blocks.push(block);
    segment.bytes += bytes;
    segment.end = (baseOffset + records.count) as Offset;
    segment.newestAtMs = receivedAtMs;
    return block;
  }

  get blocks(): readonly LogBlock[] {
    return this.#segments.flatMap((segment) => segment.blocks);
  }

  state(): PartitionState {
    const last = this.#segments.at(-1);
    return {
      start: this.#segments[0]?.blocks[0]?.baseOffset ?? (0 as Offset),
      end: last?.end ?? (0 as Offset),
      bytes: this.#segments.reduce((sum, segment) => sum + segment.bytes, 0),
      newestAtMs: last?.newestAtMs ?? 0,
    };
  }

  retain(policy: Parameters<Log['retain']>[1]): number {
    return this.#segments.splice(0, countForgettable(this.#segments, policy)).length;
  }
}

export function createMemoryLog(options: MemoryLogOptions): Log {
  const partitions = new PartitionMap<MemoryPartition>();
  const listeners = new Listeners();
  const segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
  const none = new MemoryPartition(segmentBytes);
  const find = (key: PartitionKey): MemoryPartition => partitions.get(key) ?? none;
  let closed = false;

  return {
    append: async (key, records, own): Promise<Appended> => {
      checkRecords(records, own);
      if (closed) throw stopping();
      const partition = partitions.getOrMake(key, () => new MemoryPartition(segmentBytes));
      const block = partition.append(records, own, options.clock.now(), options.ids);
      listeners.tell(key);
      return { baseOffset: block.baseOffset, count: block.count, loggedAtMs: block.receivedAtMs };
    },
    read: async (key, from, bytesMax) => {
      const partition = find(key);
      const { start } = partition.state();
      if (from < start) throw noLongerKept(from, start);
      const blocks: LogBlock[] = [];
      let bytes = 0;
      for (const block of partition.blocks) {
        if (block.baseOffset + block.count <= from) continue;
        blocks.push(block);
        bytes += block.payload.byteLength;
        if (bytes >= bytesMax) break;
      }
      return blocks;
    },
    state: (key) => find(key).state(),
    offsetAt: async (key, atMs) => {
      const partition = find(key);
      const found = partition.blocks.find((block) => block.receivedAtMs >= atMs);
      return found?.baseOffset ?? partition.state().end;
    },
    bytesAfter: (key, from) => {
      let bytes = 0;
      for (const block of find(key).blocks) {
        const records = Math.min(block.count, block.baseOffset + block.count - from);
        if (records > 0) bytes += Math.round((block.payload.byteLength * records) / block.count);
      }
      return bytes;
    },
    onAppend: (key, listener) => listeners.add(key, listener),
    partitions: () => partitions.entries().map(({ key }) => key),
    retain: async (key, policy) => ({ segmentsRemoved: find(key).retain(policy) }),
    remove: async (key) => partitions.delete(key),
    close: async () => {
      closed = true;
    },
  };
}
