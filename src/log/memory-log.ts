/** The log's twin in memory, for tests and simulations: the same promises but the durability. */

import type { Offset, PartitionKey } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import type { Log, LogBlock } from './port.ts';

interface MemoryPartition {
  readonly key: PartitionKey;
  blocks: LogBlock[];
  end: number;
  readonly listeners: Set<() => void>;
}

export function createMemoryLog(options: { readonly clock: Clock; readonly ids: Ids }): Log {
  const partitions: MemoryPartition[] = [];
  const find = (key: PartitionKey): MemoryPartition => {
    const found = partitions.find(
      (one) =>
        one.key.tenant === key.tenant && one.key.stream === key.stream && one.key.partition === key.partition,
    );
    if (found) return found;
    const made: MemoryPartition = { key: { ...key }, blocks: [], end: 0, listeners: new Set() };
    partitions.push(made);
    return made;
  };
  const endOf = (block: LogBlock): number => block.baseOffset + block.count;
  const bytesOf = (blocks: readonly LogBlock[]): number =>
    blocks.reduce((sum, block) => sum + block.payload.byteLength, 0);

  return {
    append: async (key, records) => {
      const partition = find(key);
      const receivedAtMs = Math.max(options.clock.now(), partition.blocks.at(-1)?.receivedAtMs ?? 0);
      const baseOffset = partition.end as Offset;
      partition.blocks.push({
        baseOffset,
        count: records.count,
        receivedAtMs,
        idBase: options.ids.uuidV7(receivedAtMs),
        payload: Buffer.concat(records.chunks),
      });
      partition.end += records.count;
      for (const listener of partition.listeners) listener();
      return { baseOffset, count: records.count, loggedAtMs: receivedAtMs };
    },
    read: async (key, from, bytesMax) => {
      const blocks: LogBlock[] = [];
      let bytes = 0;
      for (const block of find(key).blocks) {
        if (endOf(block) <= from) continue;
        blocks.push(block);
        bytes += block.payload.byteLength;
        if (bytes >= bytesMax) break;
      }
      return blocks;
    },
    state: (key) => {
      const { blocks, end } = find(key);
      return {
        start: (blocks[0]?.baseOffset ?? end) as Offset,
        end: end as Offset,
        bytes: bytesOf(blocks),
        newestAtMs: blocks.at(-1)?.receivedAtMs ?? 0,
      };
    },
    offsetAt: async (key, atMs) => {
      const { blocks, end } = find(key);
      return blocks.find((block) => block.receivedAtMs >= atMs)?.baseOffset ?? (end as Offset);
    },
    bytesAfter: (key, from) => bytesOf(find(key).blocks.filter((block) => endOf(block) > from)),
    onAppend: (key, listener) => {
      find(key).listeners.add(listener);
      return () => find(key).listeners.delete(listener);
    },
    partitions: () => partitions.filter((one) => one.end > 0).map((one) => one.key),
    retain: async (key, policy) => {
      const partition = find(key);
      const before = partition.blocks.length;
      while (partition.blocks.length > 1) {
        const first = partition.blocks[0]!;
        const tooOld = policy.beforeMs !== undefined && first.receivedAtMs < policy.beforeMs;
        const tooMuch = policy.bytesMax !== undefined && bytesOf(partition.blocks) > policy.bytesMax;
        if (endOf(first) > policy.appliedTo || !(tooOld || tooMuch)) break;
        partition.blocks.shift();
      }
      return { segmentsRemoved: before - partition.blocks.length };
    },
    remove: async (key) => {
      const at = partitions.indexOf(find(key));
      partitions.splice(at, 1);
    },
    close: async () => undefined,
  };
}
