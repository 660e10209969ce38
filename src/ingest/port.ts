/** What ingest shows to the rest: how far each partition is applied, and a way to wait for it. */
import type { Offset, PartitionKey, StreamName, TenantId } from '../base/brand.ts';
import type { StreamDefinition } from '../define/model.ts';
import type { EventCounts } from './event-counts.ts';

/** What became of the records of a range of offsets. stored + duplicates + quarantined + lateDropped = records. */
export interface Outcome {
  readonly stored: number;
  readonly duplicates: number;
  readonly quarantined: number;
  /** Dropped for lateness by the stream's policy. */
  readonly lateDropped: number;
  /** Stored (or quarantined, or dropped) although behind the watermark by more than the stream allows. */
  readonly late: number;
}

/** Totals since the partition began, kept with the position. */
export interface IngestTotals extends Outcome {
  /** Stored events that carry fields the stream does not declare. */
  readonly withUnknownFields: number;
}

/** Which minutes of event time got records of a kind; kept with the position, so never counted twice or forgotten. */
export interface Arrivals {
  /** Stored events that came when the watermark had passed their minute. */
  readonly late: EventCounts;
  readonly duplicates: EventCounts;
}

export interface IngestState {
  /** Records below this offset are in the store, durable and visible. */
  readonly applied: Offset;
  /** Greatest event time stored so far, epoch ms; undefined before the first. */
  readonly watermarkMs: number | undefined;
  readonly totals: IngestTotals;
  /** Arrival of the newest applied record, epoch ms; 0 before the first. */
  readonly appliedReceivedAtMs: number;
  /** Absent: there are none. */
  readonly arrivals?: Arrivals | undefined;
  /** A batch of an earlier life of the process may be in some tables, and is not applied yet. */
  readonly isRepeating?: boolean;
}

/** One who wants to know of every batch, beside the tables. What it does must never hold a batch up for long. */
export interface Follower {
  /**
   * A batch is on its way into the tables: it is applied when `applied` is called, in the moment in which the position
   * advances and before those who wait are told. The batches of a stream come one after another.
   *
   * `select` answers a question about the batch's events in RowBinary, given what stands behind FROM; absent where the
   * store cannot.
   */
  follow(batch: FollowedRange, stream: StreamDefinition, select: SelectStored | undefined): Followed;
  /** The stream is not applied any more, and its position is forgotten. */
  ended(tenant: TenantId, stream: StreamName): Promise<void>;
}

export interface FollowedRange {
  readonly key: PartitionKey;
  readonly from: Offset;
  readonly to: Offset;
  /** Arrival of the newest record of the batch, epoch ms. */
  readonly receivedAtMs: number;
  /** No event that it stores is older, epoch ms; undefined: not known. */
  readonly earliestMs: number | undefined;
  /** Duplicates among its records. */
  readonly duplicates: number;
}

/** Given what stands behind FROM for the events that are stored, and for the duplicates. */
export type SelectStored = (sql: (stored: string, duplicates: string) => string) => Promise<Uint8Array>;

export interface Followed {
  /** What must be read of the batch before it is applied; never rejects. */
  readonly ready?: Promise<void> | undefined;
  /**
   * What the batch makes of the counts that are kept with the position. Asked when the tables have the batch; where it
   * rejects it is asked again, and the batch is not applied before.
   */
  readonly arrivals?: ((before: Arrivals) => Promise<Arrivals>) | undefined;
  /** Called once, never when the process ends before; must not throw. */
  applied(): void;
}

export interface Ingest {
  state(key: PartitionKey): IngestState;
  /** Resolves with what became of [from, to) once it is applied. Rejects with `stopping` when the server stops first. */
  applied(key: PartitionKey, from: Offset, to: Offset): Promise<Outcome>;
  /**
   * Runs `work` while no batch of the stream is under way, so that it may change the stream's tables;
   * the next batch is decided under what the catalog says afterwards.
   */
  exclusively<T>(tenant: TenantId, stream: StreamName, work: () => Promise<T>): Promise<T>;
  /** Runs work that changes what a stream's tables hold while batches go on, such as forgetting old days. */
  rewriting<T>(tenant: TenantId, stream: StreamName, work: () => Promise<T>): Promise<T>;
  /**
   * Another number whenever what the tables of a stream hold may have been changed otherwise than by applying records:
   * with the same number and the same applied positions, what was read is what would be read. Undefined while such work
   * (`exclusively`, `rewriting`) is under way. Numbers mean nothing in another process.
   */
  contents(tenant: TenantId, stream: StreamName): number | undefined;
}

/** What a piece of work that has changed a stream's events says of a partition's applied records as they are now. */
export type Restated = Pick<IngestState, 'totals' | 'watermarkMs'>;

/** For work that puts other tables into the place of a stream's own. */
export interface RestatingIngest extends Ingest {
  /**
   * Durable when it resolves; may be repeated. Call it within `exclusively`, or while the stream has not begun.
   * Rejects when the partition is applied to another offset than `applied`.
   */
  restate(key: PartitionKey, applied: Offset, restated: Restated): Promise<void>;
  /**
   * Tables of the stream's rollups were replaced, or were about to be: nothing of them is answered from memory before they
   * are read again. Call it behind the change, also when that has failed.
   */
  rollupsRewritten(tenant: TenantId, stream: StreamName): void;
  /** The ids that the stream remembers are read from the store again. Call it within `exclusively`. */
  forgetIds(tenant: TenantId, stream: StreamName): Promise<void>;
}
