/** The embedded log: one directory of segments for each partition, `DIRECTORY/TENANT/STREAM/PARTITION/`. */
import type { Offset, PartitionKey, StreamName, TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { invariant, type MillraceError } from '../base/errors.ts';
import type { FileSystem } from '../base/files.ts';
import type { Ids } from '../base/ids.ts';
import { type Ownership, unowned } from '../base/ownership.ts';
import { PAYLOAD_BYTES_MAX } from './codec.ts';
import { stopping, tooBusy, tooLarge } from './errors.ts';
import { FilePartition, type FilePartitionOptions, REMOVED } from './file-partition.ts';
import { Listeners } from './listeners.ts';
import { PartitionMap } from './partition-map.ts';
import type { Appended, AppendOptions, Log, PartitionState, Records } from './port.ts';
import { checkRecords } from './records.ts';

export interface FileLogOptions {
  /** Absolute path. */
  readonly directory: string;
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly ids: Ids;
  /** Who may write here; by default nobody else is there. */
  readonly owner?: Ownership;
  /** Milliseconds that an append waits for company before it is written; 0: none when nothing is under way. */
  readonly lingerMs: number;
  /** Size at which a segment is closed and the next one begun. */
  readonly segmentBytes?: number;
  /** Bytes of appends that may wait in memory, over all partitions. One append alone may be larger. */
  readonly pendingBytesMax?: number;
  /** Told at start of each partition that is damaged. It takes nothing more; what comes before can be read. */
  readonly onDamage?: (error: MillraceError, key: PartitionKey) => void;
}

const SEGMENT_BYTES = 128 * 2 ** 20;
const PENDING_BYTES_MAX = 64 * 2 ** 20;
const RECOVER_AT_ONCE = 8;
const NAME = /^[a-z][a-z0-9_]{0,62}$/;
const NOTHING: PartitionState = { start: 0 as Offset, end: 0 as Offset, bytes: 0, newestAtMs: 0 };

/**
 * Opens the log and recovers every partition in it: torn tails do not count, each partition goes on in a new segment, and a partition with damage in its middle is
 * left as it is, told to `onDamage`, and takes nothing more.
 *
 * @example
 * const log = await openFileLog({ directory: '/data/log', files: nodeFiles, clock: systemClock, ids: systemIds, lingerMs: 2 });
 * const line = Buffer.from('{"id":1}\n');
 * await log.append(key, { chunks: [line], count: 1, bytes: line.byteLength }); // { baseOffset: 0, count: 1, loggedAtMs: … }
 */
export async function openFileLog(options: FileLogOptions): Promise<Log> {
  const log = new FileLog(options);
  try {
    await log.recover();
    return log;
  } catch (error) {
    await log.close().catch(() => undefined);
    throw error;
  }
}

class FileLog implements Log {
  readonly #options: FileLogOptions;
  readonly #partitions = new PartitionMap<FilePartition>();
  readonly #listeners = new Listeners();
  #pendingBytes = 0;
  #closed = false;

  constructor(options: FileLogOptions) {
    this.#options = options;
  }

  async recover(): Promise<void> {
    const { files, directory } = this.#options;
    const keys: PartitionKey[] = [];
    for (const tenant of (await files.readdir(directory)).filter((name) => NAME.test(name))) {
      for (const stream of (await files.readdir(`${directory}/${tenant}`)).filter((name) =>
        NAME.test(name),
      )) {
        for (const name of await files.readdir(`${directory}/${tenant}/${stream}`)) {
          if (name.endsWith(REMOVED)) await files.rmdir(`${directory}/${tenant}/${stream}/${name}`);
          else if (/^\d{1,9}$/.test(name))
            keys.push({ tenant: tenant as TenantId, stream: stream as StreamName, partition: Number(name) });
        }
      }
    }
    for (let first = 0; first < keys.length; first += RECOVER_AT_ONCE)
      await Promise.all(keys.slice(first, first + RECOVER_AT_ONCE).map((key) => this.#recoverPartition(key)));
  }

  async #recoverPartition(key: PartitionKey): Promise<void> {
    const partition = await FilePartition.open(this.#optionsOf(key));
    this.#partitions.getOrMake(key, () => partition);
    const { damage } = partition;
    if (!damage) return;
    if (this.#options.onDamage) this.#options.onDamage(damage, key);
    else process.emitWarning(damage);
  }

  #optionsOf(key: PartitionKey): FilePartitionOptions {
    invariant(
      NAME.test(key.tenant) &&
        NAME.test(key.stream) &&
        Number.isSafeInteger(key.partition) &&
        key.partition >= 0,
      `"${key.tenant}/${key.stream}/${key.partition}" can be a directory`,
    );
    return {
      ...this.#options,
      owner: this.#options.owner ?? unowned,
      segmentBytes: this.#options.segmentBytes ?? SEGMENT_BYTES,
      directory: `${this.#options.directory}/${key.tenant}/${key.stream}/${key.partition}`,
      committed: () => this.#listeners.tell(key),
      release: (bytes) => {
        this.#pendingBytes -= bytes;
      },
    };
  }

  async append(key: PartitionKey, records: Records, asked?: AppendOptions): Promise<Appended> {
    checkRecords(records, asked);
    if (this.#closed) throw stopping();
    if (records.bytes > PAYLOAD_BYTES_MAX) throw tooLarge(records.bytes, PAYLOAD_BYTES_MAX);
    const own = { ...key };
    const partition = this.#partitions.getOrMake(own, () => new FilePartition(this.#optionsOf(own)));
    if (partition.refusal) throw partition.refusal;
    const max = this.#options.pendingBytesMax ?? PENDING_BYTES_MAX;
    if (this.#pendingBytes > 0 && this.#pendingBytes + records.bytes > max) throw tooBusy();
    this.#pendingBytes += records.bytes;
    return partition.append(records, asked);
  }

  async read(key: PartitionKey, from: Offset, bytesMax: number) {
    return (await this.#partitions.get(key)?.read(from, bytesMax)) ?? [];
  }

  state(key: PartitionKey): PartitionState {
    return this.#partitions.get(key)?.state() ?? NOTHING;
  }

  async offsetAt(key: PartitionKey, atMs: number): Promise<Offset> {
    return (await this.#partitions.get(key)?.offsetAt(atMs)) ?? NOTHING.end;
  }

  bytesAfter(key: PartitionKey, from: Offset): number {
    return this.#partitions.get(key)?.bytesAfter(from) ?? 0;
  }

  onAppend(key: PartitionKey, listener: () => void): () => void {
    return this.#listeners.add(key, listener);
  }

  partitions(): readonly PartitionKey[] {
    return this.#partitions
      .entries()
      .filter(({ value }) => !value.isEmpty || value.damage)
      .map(({ key }) => key);
  }

  async retain(key: PartitionKey, policy: Parameters<Log['retain']>[1]) {
    return { segmentsRemoved: (await this.#partitions.get(key)?.retain(policy)) ?? 0 };
  }

  async remove(key: PartitionKey): Promise<void> {
    const partition = this.#partitions.get(key);
    await partition?.remove();
    if (partition && this.#partitions.get(key) === partition) this.#partitions.delete(key);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#partitions.entries().map(({ value }) => value.close()));
  }
}
