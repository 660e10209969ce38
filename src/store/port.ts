/**
 * The store: columns, aggregate states and SQL. One dialect (ClickHouse's) everywhere. Values travel as
 * bound parameters; identifiers come from definitions and are quoted in `sql.ts`.
 */

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
  readonly signal?: AbortSignal;
}

/**
 * What an implementor owes: `execute` resolves after the statement is complete and durable as far as the
 * engine can; `query` gives the whole answer in one ClickHouse output format. A failure rejects with
 * `store-unavailable`, `query-timeout` or `bad-question`, with the engine's own words in `cause`.
 */
export interface Engine {
  /** Statements that write. They run on sessions of their own, so that reads never wait for them. */
  execute(statement: Statement): Promise<void>;
  /** Bytes of the answer in `format` (default `JSONCompact`). */
  query(statement: Statement, format?: string, limits?: QueryLimits): Promise<Uint8Array>;
  /** The answer in chunks, never buffered whole. */
  stream(statement: Statement, format: string, limits?: QueryLimits): AsyncIterable<Uint8Array>;
  /** Rows of the answer as objects; 64-bit integers come as strings. */
  rows<Row>(statement: Statement, limits?: QueryLimits): Promise<Row[]>;
  close(): Promise<void>;
}
