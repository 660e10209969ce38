/**
 * Joins with dimension tables, as parts of a question's statement (statement.ts).
 *
 *   what stands    the states are merged by the field that holds the keys, then each key gets its columns, then they are merged
 *                  by those: exactly what the events would give, from the rollup's rows alone. The table streams past a hash
 *                  table of the keys that occur, so its size costs a scan of two columns and no memory.
 *   at the event   each event gets the columns that were valid at its time; only the events can answer
 *
 * A condition on what stands becomes a set of keys: an event without a row, or without the value, satisfies none.
 */
import type { TenantId } from '../base/brand.ts';
import { columnOf, type Field } from '../define/model.ts';
import { quoteIdentifier } from '../store/index.ts';
import { currentRows, type UpTo, versionRows } from '../tables/index.ts';
import { isJoined, type Join, type JoinedField } from './joins.ts';
import { type Binder, type Condition, conditionSql } from './where.ts';

/** Which changes of a table count, by its name. */
export type TablesUpTo = (table: string) => UpTo;

export const dimensionAlias = (field: Field): string => quoteIdentifier(`d.${field.name}`);

/** The tables of these columns, each once. */
export function joinsOf(fields: readonly Field[]): readonly (readonly [Join, readonly JoinedField[]])[] {
  const found = new Map<string, [Join, JoinedField[]]>();
  for (const field of fields) {
    if (!isJoined(field)) continue;
    const known = found.get(field.join.name) ?? [field.join, []];
    found.set(field.join.name, known);
    if (!known[1].some(({ name }) => name === field.name)) known[1].push(field);
  }
  return [...found.values()];
}

export const keyAlias = (join: Join): string => quoteIdentifier(`k.${join.name}`);

/** A condition over the rows of a table, as one on the field that holds its keys. */
export function amongKeys(
  tenant: TenantId,
  { field, ...condition }: Condition & { readonly field: JoinedField },
  parameters: Binder,
  upTo: TablesUpTo,
): string {
  const { table, via } = field.join;
  const columns = [...new Set([table.key, field.of.name])];
  const holds = conditionSql({ ...condition, field: field.of }, parameters);
  return `${quoteIdentifier(columnOf(via))} IN (SELECT ${quoteIdentifier(table.key)} FROM (${currentRows(tenant, table, columns, undefined, upTo(table.name))}) WHERE ${holds})`;
}

/** `rows` (columns: `carried`, and the keys) with the columns of each table that stand. */
export function withCurrent(
  tenant: TenantId,
  fields: readonly Field[],
  rows: string,
  carried: readonly string[],
  where: readonly Condition[],
  parameters: Binder,
  upTo: TablesUpTo,
): string {
  let joined = rows;
  const joins = joinsOf(fields);
  const columns = [...carried, ...joins.map(([join]) => keyAlias(join))];
  for (const [join, own] of joins) {
    const { table } = join;
    const key = quoteIdentifier(table.key);
    const wanted = own.map((field) => `${quoteIdentifier(field.of.name)} AS ${dimensionAlias(field)}`);
    const needed = [...new Set([table.key, ...own.map((field) => field.of.name)])];
    const keys = keyConditions(join, where, parameters);
    const right = `SELECT ${key} AS _key, ${wanted.join(', ')} FROM (${currentRows(tenant, table, needed, keys, upTo(table.name))})`;
    joined = `SELECT ${[...columns, ...own.map(dimensionAlias)].join(', ')} FROM (${right}) AS _table ALL RIGHT JOIN (${joined}) AS _found ON _table._key = _found.${keyAlias(join)}`;
    columns.push(...own.map(dimensionAlias));
  }
  return joined;
}

/** Conditions on the field that holds the keys spare reading the rest of the table. */
function keyConditions({ table, via }: Join, where: readonly Condition[], parameters: Binder) {
  const same = where.filter(({ field, op }) => field === via && (op === 'eq' || op === 'in'));
  if (same.length === 0) return undefined;
  return same
    .map((condition) =>
      conditionSql({ ...condition, field: { name: table.key, type: via.type, optional: false } }, parameters),
    )
    .join(' AND ');
}

/** Events with the columns of each table as they were at the event's time. */
export function withPast(
  tenant: TenantId,
  fields: readonly Field[],
  events: string,
  upTo: TablesUpTo,
): string {
  let joined = events;
  for (const [join, own] of joinsOf(fields)) {
    const { table } = join;
    const key = quoteIdentifier(table.key);
    const wanted = own.map((field) => {
      const column = quoteIdentifier(field.of.name);
      return `if(_deleted, NULL, ${column}) AS ${dimensionAlias(field)}`;
    });
    const needed = [...new Set([table.key, ...own.map((field) => field.of.name)])];
    // A hash table of all versions of a large table would be the most of the work.
    const occur = `${key} IN (SELECT ${quoteIdentifier(columnOf(join.via))} FROM (${events}))`;
    const right = `SELECT ${key} AS _key, _valid_from AS _since, ${wanted.join(', ')} FROM (${versionRows(tenant, table, needed, occur, upTo(table.name))})`;
    joined = `SELECT _found.*, ${own.map((field) => `_table.${dimensionAlias(field)} AS ${dimensionAlias(field)}`).join(', ')} FROM (${joined}) AS _found ASOF LEFT JOIN (${right}) AS _table ON _found.${quoteIdentifier(columnOf(join.via))} = _table._key AND _found._time >= _table._since`;
  }
  return joined;
}

/** A condition on a column that `withPast` has added. */
export function pastCondition(
  { field, ...condition }: Condition & { readonly field: JoinedField },
  parameters: Binder,
): string {
  const { type, optional, name } = field;
  return conditionSql({ ...condition, field: { type, optional, name: `d.${name}` } }, parameters);
}
