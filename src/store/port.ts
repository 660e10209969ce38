/**
 * The store: columns, aggregate states and SQL. One dialect (ClickHouse's) everywhere. Values travel as
 * bound parameters; identifiers come from definitions and are quoted in `sql.ts`.
 */

import type { TenantId } from '../base/brand.ts';
import type { Leave } from '../base/fair-queue.ts';
import type { ReadingClass } from './reading-places.ts';

/** A statement as a value: text with `{name:Type}` placeholders and their bindings. */
export interface Statement {
  readonly text: string;
  readonly params?: Readonly<Record<string, StatementParam>>;
}
export type StatementParam =
  | string
  | number
  | bigint
  | boolean
  | readonly string[]
  | readonly number[]
  | readonly bigint[];

export interface QueryLimits {
  /** Seconds of execution; by default what the installation allows a question. */
  readonly timeoutSeconds?: number;
  readonly memoryBytesMax?: number;
  /** Rows that may be read; more fail with `bad-question`. Absent: as many as there are. */
  readonly readRowsMax?: number;
  readonly signal?: AbortSignal;
  /** Whose places it waits for; `work` when absent. */
  readonly reading?: ReadingClass;
  /** Who asks: places are shared fairly between tenants, and the tenant's limits hold. Absent: we ourselves. */
  readonly tenant?: TenantId;
  /** It computes on one thread, when nobody else wants to. */
  readonly yields?: boolean;
  /** It computes on one thread: there is so little to do that dividing it would be most of the work. */
  readonly narrow?: boolean;
}

/** Of statements that write. They have no limits: what was accepted is stored. */
export interface WriteOptions {
  /** Whose places it waits for, which tenants share fairly. Absent: we ourselves. */
  readonly tenant?: TenantId;
  /** As in `QueryLimits`. */
  readonly yields?: boolean;
  readonly narrow?: boolean;
}

/**
 * What an implementor owes: `execute` resolves after the statement is complete and durable as far as the
 * engine can; `query` gives the whole answer in one ClickHouse output format. A failure rejects with
 * `store-unavailable`, `query-timeout` or `bad-question`, with the engine's own words in `cause`.
 */
export interface Engine {
  /** Statements that write. They run on sessions of their own, so that reads never wait for them. */
  execute(statement: Statement, options?: WriteOptions): Promise<void>;
  /** Bytes of the answer in `format` (default `JSONCompact`). */
  query(statement: Statement, format?: string, limits?: QueryLimits): Promise<Uint8Array>;
  /** The answer in chunks, never buffered whole. */
  stream(statement: Statement, format: string, limits?: QueryLimits): AsyncIterable<Uint8Array>;
  /** Rows of the answer as objects; 64-bit integers come as strings. */
  rows<Row>(statement: Statement, limits?: QueryLimits): Promise<Row[]>;
  close(): Promise<void>;
}

/** Where people we do not know may ask. */
export interface Guests {
  /**
   * Resolves with the way to leave a place among the scans, once it is the tenant's turn. Rejects with `too-busy` when
   * too many of its questions wait or this one waited too long, and with the signal's reason.
   */
  place(tenant: TenantId, signal?: AbortSignal): Promise<Leave>;
  /** A session for one question about what is the tenant's; the caller closes it, and bounds how many there are. */
  guest(tenant: TenantId, limits: GuestLimits): Guest;
}

/** What one question may take, all of its statements alike. */
export interface GuestLimits {
  /** Of each statement, the time in which its answer is fetched included. */
  readonly timeoutSeconds: number;
  readonly memoryBytesMax: number;
  /** Rows that each statement may read; absent: as many as there are. */
  readonly readRowsMax?: number | undefined;
  /** Absent: as many as fit into the bytes. */
  readonly resultRowsMax?: number | undefined;
  /** Bytes of the answer before it is written in its format. */
  readonly resultBytesMax: number;
  /** Bytes of a statement; 1 MiB unless said otherwise. */
  readonly statementBytesMax?: number | undefined;
  /** How answers are written, by settings of the engine that were chosen before; never what a stranger names. */
  readonly settings?: Readonly<Record<string, string | number>> | undefined;
  /** Values of `{name:Type}` in the statements that bring no parameters of their own, in the engine's escaped form. */
  readonly params?: Readonly<Record<string, string>> | undefined;
}

/**
 * A session that can only read, under limits that it cannot lift. Statements run one after the other and fail as
 * those of `Engine` do.
 */
export interface Guest {
  query(statement: Statement, format: string): Promise<Uint8Array>;
  /**
   * Each chunk is a whole document in the format; `onRows` is told how many rows it holds, before it comes. A caller who
   * stops in the middle ends the statement.
   */
  stream(statement: Statement, format: string, onRows?: (rows: number) => void): AsyncIterable<Uint8Array>;
  /** Nobody waits for the answer any more: what runs is ended, nothing more is begun. */
  leave(): void;
  close(): Promise<void>;
}
