/** Dimension tables: rows by key, with versions that are valid from a moment on. */
import type { TenantId } from '../base/brand.ts';
import type { Versioned } from '../catalog/port.ts';
import type { TableDefinition } from '../define/model.ts';

/** Versions of rows that a table may hold; what was replaced counts until the engine has merged it away. */
export const TABLE_ROWS_MAX = 10_000_000;
/** Mistakes of one request that are told. */
export const TOLD_MAX = 1_000;

export type RowsFormat = 'json' | 'ndjson' | 'csv';

export interface ChangeOptions {
  /** From when on the rows are valid, epoch ms, not later than now; absent: now, or what a row says in `_valid_from`. */
  readonly validFromMs?: number | undefined;
}

export interface ChangeAnswer {
  /** Rows of the request. */
  readonly rows: number;
  /** Versions that were written: rows that were there already, as they are, change nothing. */
  readonly changed: number;
}

export interface Rows {
  readonly format: RowsFormat;
  readonly body: Buffer;
  /** Accounts for bytes that are made of the body; may refuse with `too-busy`. */
  readonly grow: (bytes: number) => void;
}

/**
 * Changes are all or nothing for each request, durable and seen by every later question when they resolve; of one table they
 * go one after another. The same change again changes nothing, so whoever does not know what became of it repeats it.
 *
 * Fails with `unknown-table`; with `bad-body` when a row does not fit (nothing is taken; `issues` names each mistake, with
 * `rows.INDEX.FIELD` as its path); with `bad-request` for a moment that cannot be; with `limit-exceeded` when the table is full.
 */
export interface Tables extends Dimensions {
  /** Rows with these keys are as given from the moment on. Of a key that is there twice the last one counts. */
  upsert(tenant: TenantId, table: string, rows: Rows, options?: ChangeOptions): Promise<ChangeAnswer>;
  /** From the moment on there is no row of this key. `key` as in a row; a text stands for any type. */
  remove(tenant: TenantId, table: string, key: string, options?: ChangeOptions): Promise<ChangeAnswer>;
}

/** What questions need to know of tables; from memory. */
export interface Dimensions {
  definition(tenant: TenantId, table: string): Versioned<TableDefinition> | undefined;
  /** The same text, the same rows, as long as the process lives; undefined: they are being changed. */
  contents(tenant: TenantId, table: string): string | undefined;
}
