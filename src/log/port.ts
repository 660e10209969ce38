/**
 * The log: ordered, durable, replayable partitions of newline-terminated records. It is the truth; the
 * store is a projection of it.
 */
import type { Offset, PartitionKey } from '../base/brand.ts';

/** Records as they travel: framed bytes, never objects. */
export interface Records {
  /** Chunks whose concatenation is `count` lines, each ending in `\n` and holding no other `\n`. */
  readonly chunks: readonly Uint8Array[];
  readonly count: number;
  /** Sum of the chunks' lengths. */
  readonly bytes: number;
}

export interface Appended {
  /** Offset of the first record; the others follow without gaps. */
  readonly baseOffset: Offset;
  readonly count: number;
  /** When the log took them, epoch ms. Never decreases along a partition. */
  readonly loggedAtMs: number;
}

/** What one group commit wrote. The unit of checksum and of reading. */
export interface LogBlock {
  readonly baseOffset: Offset;
  readonly count: number;
  /** When its records arrived, epoch ms; never decreases along a partition. */
  readonly receivedAtMs: number;
  /** 16 bytes; record i of the block has the generated id `idBase + i` (big endian). */
  readonly idBase: Uint8Array;
  /** Its append said so: these records were in the log before and were sent through it again. */
  readonly replayed: boolean;
  /** `count` lines, each ending in `\n`. A view: valid until the next read. */
  readonly payload: Uint8Array;
}

/** An append with options becomes a block of its own, in its turn among the others of the partition. */
export interface AppendOptions {
  /**
   * 16 bytes for the block's `idBase`; generated when absent. Who writes it down together with the partition's end
   * before appending can tell after a crash, with `findBlock`, whether the append was made.
   */
  readonly idBase?: Uint8Array;
  /** Kept with the block; false when absent. */
  readonly replayed?: boolean;
}

export interface PartitionState {
  /** First offset still kept. */
  readonly start: Offset;
  /** Offset that the next durable record will get. */
  readonly end: Offset;
  /** Bytes of payload and headers kept on disk. */
  readonly bytes: number;
  /** Arrival of the newest durable record, epoch ms; 0 when there is none. */
  readonly newestAtMs: number;
}

/**
 * What an implementor owes:
 * - `append` resolves only after the records are durable (fsynced), in the order of the calls of one
 *   partition; after a rejection none of the call's records is ever read back, unless the process dies before
 *   what was written could be taken back (the disk failed twice), or another one takes over meanwhile: then nobody
 *   knows, as after any crash.
 * - a reader never sees a record that is not durable.
 * - `append` rejects with `log-unavailable` when it cannot write and works again by itself once it can,
 *   and with `too-busy` when more than its bound waits in memory.
 * - `append` rejects with `fenced` once another process has taken over, and writes nothing more. What was acknowledged
 *   before is there for that process to read; of what was under way, as after a crash, it is not known.
 */
export interface Log {
  append(key: PartitionKey, records: Records, options?: AppendOptions): Promise<Appended>;
  /** Blocks from the one that holds `from`, whole, at least one if there is any, until `bytesMax` is passed. */
  read(key: PartitionKey, from: Offset, bytesMax: number): Promise<readonly LogBlock[]>;
  state(key: PartitionKey): PartitionState;
  /** Offset of the first record that arrived at or after `atMs`; the end if there is none. */
  offsetAt(key: PartitionKey, atMs: number): Promise<Offset>;
  /** Bytes of durable payload at or after `from`: the backlog of a reader that stands there. */
  bytesAfter(key: PartitionKey, from: Offset): number;
  /** Calls back after each durable append of the partition; returns the way to stop. */
  onAppend(key: PartitionKey, listener: () => void): () => void;
  partitions(): readonly PartitionKey[];
  /** Forgets whole segments older than `beforeMs` or past `bytesMax`, but nothing at or after `appliedTo`. */
  retain(
    key: PartitionKey,
    policy: { readonly beforeMs?: number; readonly bytesMax?: number; readonly appliedTo: Offset },
  ): Promise<{ readonly segmentsRemoved: number }>;
  /** Forgets a partition and everything in it. */
  remove(key: PartitionKey): Promise<void>;
  /** Flushes what waits and closes. No accepted record waits in memory afterwards. */
  close(): Promise<void>;
}
