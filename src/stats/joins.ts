/**
 * Columns of dimension tables in a question: `channels.country`, or `channels(shown_on).country` where the field of the
 * stream is not called as the table's key. Pure.
 */
import type { Field, FieldType, StreamDefinition, TableDefinition } from '../define/model.ts';
import { columnOfTable, fieldOf, hint } from '../define/model.ts';
import type { Question } from './parse.ts';
import type { StatsRequest } from './port.ts';

/** A table that a question is joined with, by the field of the stream that holds its keys. */
export interface Join {
  /** As asked, without blanks: `channels`, `channels(shown_on)`. */
  readonly name: string;
  readonly table: TableDefinition;
  readonly via: Field;
}

/** A column of a table in the place of a field; null where there is no row of the key. */
export interface JoinedField extends Field {
  readonly join: Join;
  readonly of: Field;
}

export const isJoined = (field: Field): field is JoinedField => 'join' in field;

/** The tables that a question may be joined with. */
export type TableOf = (name: string) => TableDefinition | undefined;

/** Undefined when the name is not that of a column of a table; a text says what is wrong with it. */
export function parseJoined(
  written: string,
  stream: StreamDefinition,
  tableOf: TableOf,
): JoinedField | string | undefined {
  const read = columnOfTable(written);
  const table = read && tableOf(read.table);
  if (!table) return undefined;
  const { table: tableName, via, column } = read;
  const of = table.fields.find((field) => field.name === column);
  if (!of) {
    const names = table.fields.map((field) => field.name);
    return `table ${tableName} has no field "${column}"${hint(column, names)}`;
  }
  const field = fieldOf(stream, via ?? table.key);
  if (!field) {
    return via === undefined
      ? `stream ${stream.name} has no field "${table.key}", the key of ${tableName}; write ${tableName}(FIELD).${column}`
      : `stream ${stream.name} has no field "${via}"`;
  }
  const key = table.fields.find(({ name }) => name === table.key)!;
  if (familyOf(field.type) !== familyOf(key.type)) {
    return `"${field.name}" is of type ${field.type.kind}, and the key of ${tableName} of type ${key.type.kind}`;
  }
  const name = via === undefined ? tableName : `${tableName}(${via})`;
  return {
    name: `${name}.${column}`,
    type: of.type,
    optional: true,
    join: { name, table, via: field },
    of,
  };
}

/** Types whose values the engine compares without changing them. */
function familyOf(type: FieldType): string {
  if (type.kind === 'string' || type.kind === 'enum') return 'text';
  if (type.kind === 'int32' || type.kind === 'int64') return 'integer';
  return JSON.stringify(type);
}

/** The field of the stream that the question reads for it. */
export const readBy = (field: Field): Field => (isJoined(field) ? field.join.via : field);

/** Whether a question reads a table. */
export const joins = ({ by, where }: Pick<Question, 'by' | 'where'>): boolean =>
  by.some(isJoined) || where.some(({ field }) => isJoined(field));

const NONE: readonly string[] = [];

/** Names of tables that a request may mean, by how it is written. */
export function tablesNamed({ by = '', where = [] }: StatsRequest): readonly string[] {
  // Asked of every question; few mean a table.
  if (!by.includes('.') && !where.some((condition) => condition.includes('.'))) return NONE;
  const names = new Set<string>();
  const note = (written: string) => {
    const name = /^\s*([^.():,]+?)\s*(?:\([^()]*\)\s*)?\./.exec(written)?.[1];
    if (name !== undefined) names.add(name.replaceAll(/\s+/g, ''));
  };
  for (const one of by.split(',')) note(one);
  for (const condition of where) note(condition.split(':', 1)[0]!);
  return [...names];
}
