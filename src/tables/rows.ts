/** The rows of a dimension table as relations in SQL. */
import type { TenantId } from '../base/brand.ts';
import type { TableDefinition } from '../define/model.ts';
import { dimensionTable, quoteIdentifier, quoteText } from '../store/index.ts';

const listOf = (names: readonly string[]): string =>
  names.map((name) => `${quoteIdentifier(name)}, `).join('');

const fieldsOf = (table: TableDefinition): readonly string[] => table.fields.map((field) => field.name);

/** Only changes up to this number: what a data version holds. */
export type UpTo = number | undefined;

const whereOf = (condition: string | undefined, upTo: UpTo): string => {
  const all = [condition, upTo === undefined ? undefined : `_seq <= ${wholeText(upTo)}`].filter(Boolean);
  return all.length === 0 ? '' : ` WHERE ${all.join(' AND ')}`;
};

function wholeText(value: number): string {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no number of a change`);
  return String(value);
}

/**
 * What stands: of each key the newest version, unless that says that it is gone. Columns: those named, `_valid_from`.
 * `condition` is about any column of the table and is held before the newest is chosen: only about the key, or `_rank`.
 */
export function currentRows(
  tenant: TenantId,
  table: TableDefinition,
  columns: readonly string[] = fieldsOf(table),
  condition?: string,
  upTo?: UpTo,
): string {
  const key = quoteIdentifier(table.key);
  const where = whereOf(condition, upTo);
  return `SELECT ${listOf(columns)}_valid_from FROM (SELECT ${listOf(columns)}_valid_from, _deleted FROM ${dimensionTable(tenant, table.name)}${where} ORDER BY ${key}, _rank, _seq DESC LIMIT 1 BY ${key}) WHERE NOT _deleted`;
}

/** Every version, also those that say that a row is gone (`_deleted`). Columns: those named, `_valid_from`, `_deleted`. */
export function versionRows(
  tenant: TenantId,
  table: TableDefinition,
  columns: readonly string[] = fieldsOf(table),
  condition?: string,
  upTo?: UpTo,
): string {
  const key = quoteIdentifier(table.key);
  const where = whereOf(condition, upTo);
  return `SELECT ${listOf(columns)}_valid_from, _deleted, _seq FROM ${dimensionTable(tenant, table.name)}${where} ORDER BY ${key}, _rank, _seq DESC LIMIT 1 BY ${key}, _rank`;
}

const MOMENT = quoteText("Nullable(DateTime64(3, 'UTC'))");

/** Versions with the moment up to which each was valid (`_valid_to`, null while it stands). */
export function historyRows(tenant: TenantId, table: TableDefinition, upTo?: UpTo): string {
  const key = quoteIdentifier(table.key);
  const next = `leadInFrame(CAST(_valid_from, ${MOMENT})) OVER (PARTITION BY ${key} ORDER BY _valid_from ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)`;
  return `SELECT ${listOf(fieldsOf(table))}_valid_from, _valid_to FROM (SELECT *, ${next} AS _valid_to FROM (${versionRows(tenant, table, undefined, undefined, upTo)})) WHERE NOT _deleted`;
}

/** The relation of a table's earlier versions. */
export const historyName = (table: string): string => `${table}_history`;
