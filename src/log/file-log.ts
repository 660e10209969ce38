/** The embedded log: `DIRECTORY/TENANT/STREAM/PARTITION/` for each partition. */

import type { Offset, PartitionKey, StreamName, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import type { FileSystem } from '../base/files.ts';
import type { Ids } from '../base/ids.ts';
import { FilePartition, type PartitionOptions } from './file-partition.ts';
import type { Log } from './port.ts';

export interface FileLogOptions {
  /** Absolute path. */
  readonly directory: string;
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly ids: Ids;
  /** Milliseconds that an append waits for company before it is written. */
  readonly lingerMs: number;
  readonly segmentBytes?: number;
  /** Bytes of appends that may wait in memory, over all partitions. */
  readonly waitingBytesMax?: number;
}

const SEGMENT_BYTES = 128 * 2 ** 20;
const WAITING_BYTES_MAX = 128 * 2 ** 20;

const EMPTY = { start: 0 as Offset, end: 0 as Offset, bytes: 0, newestAtMs: 0 };

export async function openFileLog(options: FileLogOptions): Promise<Log> {
  const { files } = options;
  const opened: { readonly key: PartitionKey; readonly partition: FilePartition }[] = [];
  const listening: { readonly key: PartitionKey; readonly listener: () => void }[] = [];
  const opening = new Map<string, Promise<FilePartition>>();
  const max = options.waitingBytesMax ?? WAITING_BYTES_MAX;
  let waitingBytes = 0;
  let closed = false;

  const budget: Pick<PartitionOptions, 'reserve' | 'release'> = {
    reserve: (bytes) => {
      if (waitingBytes > 0 && waitingBytes + bytes > max) return false;
      waitingBytes += bytes;
      return true;
    },
    release: (bytes) => {
      waitingBytes -= bytes;
    },
  };
  const same = (a: PartitionKey, b: PartitionKey): boolean =>
    a.partition === b.partition && a.stream === b.stream && a.tenant === b.tenant;
  const directoryOf = (key: PartitionKey): string =>
    `${options.directory}/${key.tenant}/${key.stream}/${key.partition}`;
  const find = (key: PartitionKey): FilePartition | undefined =>
    opened.find((one) => same(one.key, key))?.partition;

  const open = async (key: PartitionKey): Promise<FilePartition> => {
    const partition = await FilePartition.open({
      files,
      clock: options.clock,
      ids: options.ids,
      directory: directoryOf(key),
      lingerMs: options.lingerMs,
      segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
      ...budget,
    });
    opened.push({ key: { ...key }, partition });
    for (const one of listening) if (same(one.key, key)) partition.listeners.add(one.listener);
    return partition;
  };
  const openOnce = (key: PartitionKey): Promise<FilePartition> => {
    const path = directoryOf(key);
    const already = opening.get(path);
    if (already) return already;
    const now = open(key).finally(() => opening.delete(path));
    opening.set(path, now);
    return now;
  };

  for (const tenant of await files.readdir(options.directory)) {
    for (const stream of await files.readdir(`${options.directory}/${tenant}`)) {
      for (const partition of await files.readdir(`${options.directory}/${tenant}/${stream}`)) {
        await open({
          tenant: tenant as TenantId,
          stream: stream as StreamName,
          partition: Number(partition),
        });
      }
    }
  }

  return {
    append: async (key, records) => {
      const partition = find(key) ?? (closed ? undefined : await openOnce(key));
      if (!partition) throw new Error('the log is closed');
      return partition.append(records);
    },
    read: async (key, from, bytesMax) => (await find(key)?.read(from, bytesMax)) ?? [],
    state: (key) => find(key)?.state() ?? EMPTY,
    offsetAt: async (key, atMs) => (await find(key)?.offsetAt(atMs)) ?? (0 as Offset),
    bytesAfter: (key, from) => find(key)?.bytesAfter(from) ?? 0,
    onAppend: (key, listener) => {
      const entry = { key: { ...key }, listener };
      listening.push(entry);
      find(key)?.listeners.add(listener);
      return () => {
        listening.splice(listening.indexOf(entry), 1);
        find(key)?.listeners.delete(listener);
      };
    },
    partitions: () => opened.map((one) => one.key),
    retain: async (key, policy) => ({ segmentsRemoved: (await find(key)?.retain(policy)) ?? 0 }),
    remove: async (key) => {
      const at = opened.findIndex((one) => same(one.key, key));
      const [one] = at < 0 ? [] : opened.splice(at, 1);
      await one?.partition.remove();
    },
    close: async () => {
      closed = true;
      await Promise.all([...opening.values()]);
      await Promise.all(opened.map((one) => one.partition.close()));
    },
  };
}
