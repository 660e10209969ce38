/** Questions about numbers, and their answers. */
import type { TenantId } from '../base/brand.ts';

/** The parsed query string of `GET /v1/streams/{stream}/stats`; every value still as the user wrote it. */
export interface StatsRequest {
  readonly fn?: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly every?: string;
  readonly tz?: string;
  readonly by?: string;
  readonly where?: readonly string[];
  readonly order?: string;
  readonly limit?: string;
  readonly max_age?: string;
  /** `event`: columns of tables as they were at the events' times; `now`, the default: as they are. */
  readonly asof?: string;
  /** Set by the server alone. */
  readonly rowFilter?: RowFilter;
}

/**
 * Conditions of the asker's key: rows that do not satisfy them do not exist for him, nor do they decide from when on an
 * answer reaches. They mean the same whatever else is asked. Answers are kept apart by them.
 */
export type RowFilter = readonly string[];

export interface StatsColumn {
  /** As asked: `time`, the dimension, or the function (`sum(delay)`). */
  readonly name: string;
  /** `timestamp`, or the field's kind, or `uint64`, `float64`, `array`. */
  readonly type: string;
}

export interface StatsMeta {
  /** `rollup NAME`, `events`, or several joined by ` + `. */
  readonly source: string;
  /** Records that arrived up to this time are in the answer, RFC 3339; null when there are none. */
  readonly as_of: string | null;
  /** Age of the oldest record that is accepted but not yet in the answer, ms; 0 when there is none. */
  readonly lag_ms: number;
  /** Up to this event time the events are complete, as far as one can know, RFC 3339; null: unknown, or not to be told. */
  readonly watermark: string | null;
  /**
   * `final`: the watermark has passed the range. `corrected`: it has, and events came into the range when it had passed
   * their minute. `open`: more may come.
   */
  readonly finality: 'final' | 'open' | 'corrected';
  /**
   * 1 for what is final, and one more for each late event; null while it is open. Answers to the same question that have the
   * same version have the same rows, unless events were replayed, repaired or forgotten in between.
   */
  readonly version: number | null;
  /** Events in the range that came when the watermark had passed their minute; null: unknown, or not to be told. */
  readonly late: number | null;
  /** Records of the range's event times that were not stored because their id was; null: as in `late`. */
  readonly duplicates: number | null;
  readonly cached: boolean;
  readonly elapsed_ms: number;
  readonly from: string;
  readonly to: string;
}

/**
 * Rows are JSON text, not objects: 64-bit and wider integers keep every digit on their way out.
 */
export interface StatsAnswer {
  readonly columns: readonly StatsColumn[];
  /** The JSON array of row objects. */
  readonly rowsJson: string;
  readonly rowCount: number;
  readonly meta: StatsMeta;
}

export interface Stats {
  /** Fails with `unknown-stream` or `bad-question`, each mistake with its parameter as the path. */
  ask(tenant: TenantId, stream: string, request: StatsRequest, signal?: AbortSignal): Promise<StatsAnswer>;
  /** The same in two steps, for who would do something else meanwhile; throws what `ask` fails with. */
  begin(tenant: TenantId, stream: string, request: StatsRequest): BegunQuestion;
}

export interface BegunQuestion {
  /** From memory, or kept from before; undefined: `finish` it. */
  readonly atHand: StatsAnswer | undefined;
  finish(signal?: AbortSignal): Promise<StatsAnswer>;
}

/** Part of a listing that runs from the newest to the oldest. */
export interface Page {
  /** Rows, 1-1000; default 100. */
  readonly limit?: number;
  /** The `next` of an earlier page: this one begins behind it. */
  readonly cursor?: string;
  /** `[from, to)`, as in a question. */
  readonly from?: string;
  readonly to?: string;
}

export interface EventsRequest extends Page {
  /** Conditions as in a question; also on `_id`. */
  readonly where?: readonly string[];
  /** Set by the server alone. Events are then shown without `_partition` and `_offset`: those count others’ events. */
  readonly rowFilter?: RowFilter;
}

export interface EventsAnswer {
  /**
   * The JSON array of events: the declared fields in the order of the stream, then the fields that the sender
   * added, then `_id`, `_time`, `_received`, `_partition`, `_offset`. Every digit is kept.
   */
  readonly eventsJson: string;
  readonly count: number;
  /** Cursor of the next page; null at the end. */
  readonly next: string | null;
}

export interface TableRowsRequest {
  /** Rows, 1-1000; default 100. */
  readonly limit?: number;
  /** The `next` of an earlier page. */
  readonly cursor?: string;
  /** Conditions as in a question. */
  readonly where?: readonly string[];
  /** As the rows were at that moment; absent: as they are. */
  readonly at?: string;
}

export interface TableRowsAnswer {
  /** The JSON array of rows: the fields in their order, then `_valid_from` where there is history. Every digit is kept. */
  readonly rowsJson: string;
  readonly count: number;
  /** Cursor of the next page; null at the end. */
  readonly next: string | null;
}

export interface TableRows {
  /** In the order of the keys. Fails with `unknown-table` or `bad-question`. */
  list(
    tenant: TenantId,
    table: string,
    request?: TableRowsRequest,
    signal?: AbortSignal,
  ): Promise<TableRowsAnswer>;
}

export interface TailedEvent {
  readonly offset: number;
  /** The event as in a listing. */
  readonly json: string;
}

export interface Events {
  /** Newest event time first. Fails with `unknown-stream` or `bad-question`. */
  list(
    tenant: TenantId,
    stream: string,
    request?: EventsRequest,
    signal?: AbortSignal,
  ): Promise<EventsAnswer>;
  /**
   * Stored events of one log partition from an offset on, in the order of the log. At most `limit` (1-1000), and fewer when they
   * are very large: there is no more only when none comes.
   */
  since(
    tenant: TenantId,
    stream: string,
    partition: number,
    fromOffset: number,
    limit: number,
    signal?: AbortSignal,
  ): Promise<readonly TailedEvent[]>;
  /**
   * Stored events of a range `[from, to)` of one log partition that satisfy conditions (also on `_id`): the oldest
   * `limit` (1-1000) of them, fewer when they are very large. Fails with `bad-question` when a condition does not fit.
   */
  matching(
    tenant: TenantId,
    stream: string,
    range: { readonly partition: number; readonly from: number; readonly to: number },
    where: readonly string[],
    limit: number,
    signal?: AbortSignal,
  ): Promise<FoundEvents>;
  /**
   * Stored events of a range `[from, to)` of one log partition that satisfy a filter: the newest `limit` of them, newest
   * first, and how many there are.
   */
  within(
    tenant: TenantId,
    stream: string,
    range: { readonly partition: number; readonly from: number; readonly to: number },
    rowFilter: RowFilter,
    limit: number,
  ): Promise<{ readonly events: readonly TailedEvent[]; readonly count: number }>;
}

export interface FoundEvents {
  /** In the order of the log, as in a listing. */
  readonly events: readonly TailedEvent[];
  /** Offsets below it were looked at: begin there for the next. */
  readonly upTo: number;
}

export interface QuarantineRequest extends Page {
  readonly reason?: string;
  readonly field?: string;
  /** `waiting` (the default): those that were not replayed. */
  readonly state?: 'waiting' | 'replayed' | 'all';
}

export interface QuarantinedRecord {
  readonly partition: number;
  readonly offset: number;
  /** Time of arrival, RFC 3339. */
  readonly received: string;
  readonly reason: string;
  /** The field at fault, or ''. */
  readonly field: string;
  /** The line as it was sent; bytes that are not UTF-8 are shown as U+FFFD. */
  readonly line: string;
  /** It was appended to the log again; its copy counts. */
  readonly replayed: boolean;
}

export interface QuarantineAnswer {
  readonly records: readonly QuarantinedRecord[];
  /** How many records each reason has, over all pages, the most frequent first. */
  readonly reasons: readonly { readonly reason: string; readonly count: number }[];
  readonly next: string | null;
}

/** Where and when a record arrived. */
export interface Arrival {
  readonly partition: number;
  readonly offset: number;
  /** RFC 3339. */
  readonly received: string;
}

export interface DuplicateRecord extends Arrival {
  /** Its event time, RFC 3339. */
  readonly time: string;
  readonly id: string;
  /** The stored event of the same id; null when it was not found, and then `firstUnknown` says why. */
  readonly first: Arrival | null;
  readonly firstUnknown?: string;
}

export interface DuplicatesAnswer {
  /** Of the whole range, over all pages. */
  readonly count: number;
  readonly records: readonly DuplicateRecord[];
  readonly next: string | null;
}

export interface Duplicates {
  /** By time of arrival, newest first. Fails with `unknown-stream` or `bad-question`. */
  list(tenant: TenantId, stream: string, request?: Page, signal?: AbortSignal): Promise<DuplicatesAnswer>;
}

export interface Quarantine {
  /** Newest arrival first. Fails with `unknown-stream` or `bad-question`. */
  list(
    tenant: TenantId,
    stream: string,
    request?: QuarantineRequest,
    signal?: AbortSignal,
  ): Promise<QuarantineAnswer>;
}

export interface LateRequest extends Omit<Page, 'cursor'> {
  /** Width of a bucket of event time, 1m to 1d; default 1h. */
  readonly every?: string;
  /** Of the sample. */
  readonly what?: 'quarantined' | 'dropped';
  /** Of the sample; `waiting` (the default): those that were not replayed. */
  readonly state?: 'waiting' | 'replayed' | 'all';
}

export interface LateBucket {
  /** Start of the bucket, RFC 3339. */
  readonly time: string;
  /** Stored, and in every number: they came when the watermark had passed their minute. */
  readonly counted: number;
  readonly quarantined: number;
  readonly dropped: number;
  /** Quarantined or dropped, and taken in since; not counted there any more. */
  readonly replayed: number;
}

export interface LateRecord {
  readonly what: 'quarantined' | 'dropped';
  readonly partition: number;
  readonly offset: number;
  /** Time of arrival, RFC 3339. */
  readonly received: string;
  /** Its event time, RFC 3339. */
  readonly time: string | null;
  readonly line: string;
  /** It was appended to the log again; its copy counts. */
  readonly replayed: boolean;
}

export interface LateAnswer {
  /** Newest first, those with late events only. */
  readonly counts: readonly LateBucket[];
  /** Newest arrival first. */
  readonly sample: readonly LateRecord[];
}

export interface Late {
  /** By event time. Fails with `unknown-stream` or `bad-question`. */
  list(tenant: TenantId, stream: string, request?: LateRequest, signal?: AbortSignal): Promise<LateAnswer>;
}
