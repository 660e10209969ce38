/** What goes to the server and what comes back, as the client shows it. */

import type { ProjectDocuments } from '../define/index.ts';
import type { DefinitionKind } from '../define/model.ts';
import type { Batch } from './batch.ts';
import type { MillraceRequestError } from './errors.ts';

/** Integers are numbers while a number keeps every digit, else bigint. */
export type Integer = number | bigint;

/** `none`: taken; `durable` (default): on disk; `stored`: the next question sees it. */
export type Ack = 'none' | 'durable' | 'stored';

export interface RejectedEvent {
  /** Position of the event among those that were handed over, from 0. */
  readonly index: number;
  readonly field: string;
  readonly reason: string;
}

export interface Accepted {
  readonly accepted: number;
  readonly rejected: number;
  /** The first 100 rejected events. */
  readonly errors: readonly RejectedEvent[];
  /** Only with `ack: 'stored'`. */
  readonly stored?: number;
  readonly duplicates?: number;
  readonly quarantined?: number;
  readonly late?: number;
  /** A receipt for `ledger(stream, { batch })`; only of what went in one request. */
  readonly batch?: string;
}

export interface SendOptions {
  readonly ack?: Ack;
  /** Field that identifies the event. Absent: each event without an `_id` gets one before its first try. */
  readonly idField?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: ((failure: MillraceRequestError, delayMs: number) => void) | undefined;
}

export interface BatchOptions extends Omit<SendOptions, 'idField'> {
  /** Batches that are under way, and in memory, at one time. Default 2. */
  readonly concurrency?: number;
  /** Compresses bodies: worth it on slow lines. Default false. */
  readonly gzip?: boolean;
  /** After each batch, in the order of the batches. */
  readonly onProgress?: (totals: Accepted, batch: Batch) => void | Promise<void>;
}

export interface ManyOptions extends BatchOptions {
  readonly idField?: string | undefined;
  /** Bytes of a batch. Default 1 MiB. */
  readonly batchBytes?: number;
  /** Events of a batch. Default 5000. */
  readonly batchEvents?: number;
}

/** A moment: RFC 3339, epoch milliseconds, a Date, or relative (`-1h`, `now`). */
export type Moment = string | number | Date;

/** `count`, `rate`, `sum(f)`, `avg(f)`, `min(f)`, `max(f)`, `unique(f)`, `p50(f)` … `p99.9(f)`, `top(f,k)`. */
export type Fn =
  | 'count'
  | 'rate'
  | `${'sum' | 'avg' | 'min' | 'max' | 'unique'}(${string})`
  | `p${number}(${string})`
  | `top(${string})`;

export interface CountQuestion {
  readonly from?: Moment | undefined;
  readonly to?: Moment | undefined;
  /** `field:op:value`; ops eq ne in nin gt gte lt lte like. */
  readonly where?: string | readonly string[] | undefined;
  readonly maxAge?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface StatsQuestion extends CountQuestion {
  /** Default `count`. */
  readonly fn?: Fn | readonly Fn[] | undefined;
  /** Width of the buckets: `1m`, `1h`, `1d`, `1mo` …; absent: one total. */
  readonly every?: string | undefined;
  /** IANA zone for buckets of a day and more. */
  readonly tz?: string | undefined;
  readonly by?: string | readonly string[] | undefined;
  /** `-count`, or a column's name. */
  readonly order?: string | undefined;
  readonly limit?: number | undefined;
}

/** One entry of `top(f,k)`; `count` is at most `error` too high. */
export interface TopValue {
  readonly value: unknown;
  readonly count: Integer;
  readonly error: Integer;
}

type Many<T> = T extends readonly (infer One)[] ? One : T;
/** Splits `a,b` as the server does. */
type Names<Text> = Text extends `${infer First},${infer Rest}` ? First | Names<Rest> : Text;
type Asked<Q, Name extends string, Default> =
  Q extends Record<Name, infer Value>
    ? undefined extends Value
      ? Default | Names<Many<NonNullable<Value>>>
      : Names<Many<Value>>
    : Default;
type FnsOf<Q> = Q extends { readonly fn: infer Value extends Fn | readonly Fn[] } ? Many<Value> : 'count';
type ValueOf<F> = F extends 'count' | `unique(${string}`
  ? Integer
  : F extends 'rate' | `avg(${string}` | `p${number}(${string}`
    ? number | null
    : F extends `sum(${string}`
      ? Integer | string | null
      : F extends `top(${string}`
        ? readonly TopValue[]
        : Integer | string | null;

/** The rows that a question gets: a column for each function, each dimension, and `time` when it asks for buckets. */
export type RowOf<Q> = { readonly [F in FnsOf<Q> & string]: ValueOf<F> } & {
  readonly [D in Asked<Q, 'by', never> & string]: string | Integer | boolean | null;
} & (Q extends { readonly every: string } ? { readonly time: string } : unknown);

export interface StatsMeta {
  readonly source: string;
  readonly as_of: string | null;
  readonly lag_ms: number;
  /** Up to this event time the events are complete, as far as one can know; null: unknown, or not to be told. */
  readonly watermark: string | null;
  /** `final`: the watermark has passed the range; `corrected`: it has, and late events came into it; `open`: more may come. */
  readonly finality: 'final' | 'open' | 'corrected';
  /** Events in the range that came when the watermark had passed their minute; null: unknown, or not to be told. */
  readonly late: number | null;
  /** 1 for what is final, one more for each late event; null while it is open or unknown. */
  readonly version: number | null;
  /** Records of the range's minutes that were not stored because their id was; null: unknown, or not to be told. */
  readonly duplicates: number | null;
  readonly cached: boolean;
  readonly elapsed_ms: number;
  readonly from: string;
  readonly to: string;
}

export interface StatsAnswer<Row> {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly Row[];
  readonly meta: StatsMeta;
}

/** An event as it is kept: its fields, and `_id`, `_time`, `_received`, `_offset`. */
export type StoredEvent = Readonly<Record<string, unknown>>;

export interface EventsQuestion extends CountQuestion {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface EventsPage {
  /** Newest first. */
  readonly events: readonly StoredEvent[];
  /** Cursor of the next page; null at the end. */
  readonly next_cursor: string | null;
}

export interface StreamInfo {
  readonly name: string;
  readonly version: number;
  readonly document: Readonly<Record<string, unknown>>;
  readonly state: Readonly<Record<string, unknown>>;
}

export interface Definition {
  readonly name: string;
  readonly document: Readonly<Record<string, unknown>>;
  readonly version: number | undefined;
  /** The run that carries the change out (`client.run(id)`), when there was something to build. It may go on. */
  readonly run?: string;
}

/** A long piece of work of the server. */
export interface RunInfo {
  readonly id: string;
  readonly kind: string;
  readonly stream: string;
  readonly subject: string | null;
  readonly state: 'running' | 'cancelling' | 'done' | 'failed' | 'cancelled';
  readonly progress: {
    readonly done: number;
    /** 0 while it is not known. */
    readonly total: number;
    readonly unit: 'events' | 'buckets' | 'records' | 'parts';
    readonly step: string;
  };
  readonly result: unknown;
  readonly error: string | null;
  readonly started_at: string;
  readonly updated_at: string;
  readonly ended_at: string | null;
}

/** Late events, by the time at which they happened. */
export interface LateQuestion {
  /** Width of a bucket, `1m` to `1d`; default `1h`. */
  readonly every?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** Rows of the sample, and which of them. */
  readonly limit?: number | undefined;
  readonly what?: 'quarantined' | 'dropped' | undefined;
  readonly state?: 'waiting' | 'replayed' | 'all' | undefined;
}

/** Which late records to take in. */
export interface LateReplayRequest {
  readonly what?: 'quarantined' | 'dropped' | undefined;
  /** Event time. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface LatePage {
  /** Newest first. `counted` are in every number; the others are not. */
  readonly counts: readonly {
    readonly time: string;
    readonly counted: number;
    readonly quarantined: number;
    readonly dropped: number;
    /** Quarantined or dropped, and taken in since. */
    readonly replayed: number;
  }[];
  /** Of those that were quarantined or dropped, newest arrival first. */
  readonly sample: readonly {
    readonly what: 'quarantined' | 'dropped';
    readonly partition: number;
    readonly offset: number;
    readonly received: string;
    readonly time: string | null;
    readonly line: string;
    readonly replayed: boolean;
  }[];
}

export interface HeartbeatAnswer {
  readonly stream: string;
  readonly time: string;
  /** Where the stream's watermark stands now. */
  readonly watermark: string | null;
}

/** Which quarantined records to list. */
export interface QuarantineQuestion {
  readonly reason?: string | undefined;
  readonly field?: string | undefined;
  readonly state?: 'waiting' | 'replayed' | 'all' | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export interface QuarantinePage {
  readonly quarantined: readonly {
    readonly partition: number;
    readonly offset: number;
    readonly received: string;
    readonly reason: string;
    readonly field: string;
    readonly line: string;
    readonly replayed: boolean;
  }[];
  readonly reasons: readonly { readonly reason: string; readonly count: number }[];
  readonly next_cursor: string | null;
}

/** Which quarantined records to take in again, and how to make them right. */
export interface QuarantineReplayRequest {
  readonly reason?: string | undefined;
  readonly field?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** An expression in the dialect of ClickHouse that makes the line to be stored from `line`. */
  readonly fix?: string | undefined;
}

/** What a replay would do. */
export interface QuarantineForecast {
  readonly candidates: number;
  readonly examined: number;
  readonly would_store: number;
  readonly still_bad: readonly { readonly reason: string; readonly field: string; readonly count: number }[];
  readonly sample: readonly {
    readonly line: string;
    readonly fixed: string;
    readonly problem: string | null;
  }[];
}

/** A time of arrival, or an offset for each partition named. */
export type ReplayBound = string | number | Readonly<Record<string, number>>;

export interface StreamReplayRequest {
  /** The first record that is decided again; absent: the first that is still held. */
  readonly from?: ReplayBound | undefined;
  /** The first record that is not; absent: everything that is applied. */
  readonly to?: ReplayBound | undefined;
  /** Only builds this rollup once more. */
  readonly rollup?: string | undefined;
}

/** The documents of a project, by kind and name. */
export type Project = ProjectDocuments;

export interface Change {
  readonly kind: DefinitionKind;
  readonly name: string;
  readonly action: 'create' | 'change' | 'none' | 'refused';
  readonly effects: readonly string[];
  readonly reason?: string;
}

/** What the server sends on a live connection. */
export interface LiveMessage {
  /** `events`, `state`, … */
  readonly type: string;
  readonly id: string | undefined;
  readonly data: unknown;
}
