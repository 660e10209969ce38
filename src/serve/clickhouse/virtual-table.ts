/** A table that is made of rows of ours when a question names it. */
import type { Relation } from '../../sql/index.ts';
import { quoteIdentifier, quoteText } from '../../store/index.ts';
import type { Facts } from './facts.ts';

export interface ColumnFact {
  readonly name: string;
  readonly type: string;
}

export interface TableFact {
  readonly database: string;
  readonly name: string;
  readonly engine: string;
  readonly columns: readonly ColumnFact[];
}

/** All that the tables of a server tell; nothing of anybody else's. */
export interface Listing {
  readonly databases: readonly string[];
  readonly tables: readonly TableFact[];
  readonly user: string;
  readonly facts: Facts;
}

export type Value = string | number | null | readonly string[];
export type Row = Readonly<Record<string, Value>>;

export interface VirtualTable {
  /** Name and type of each column. */
  readonly columns: Readonly<Record<string, string>>;
  /** A column that a row leaves out has the default of its type. */
  readonly rows: (listing: Listing) => readonly Row[];
}

/** `name Type, name Type` */
export function table(columns: string, rows: VirtualTable['rows'] = () => []): VirtualTable {
  const pairs = columns
    .trim()
    .split(/\s*,\s*(?![^(]*\))/)
    .map((column) => {
      const [name = '', ...type] = column.split(' ');
      return [name, type.join(' ')] as const;
    });
  return { columns: Object.fromEntries(pairs), rows };
}

const isNumber = (type: string): boolean => /^U?Int\d+$/.test(type);
const defaultOf = (type: string): Value =>
  type.startsWith('Nullable')
    ? null
    : type.startsWith('Array')
      ? []
      : isNumber(type)
        ? 0
        : type.startsWith('DateTime')
          ? '1970-01-01 00:00:00'
          : '';

/** A statement that holds the rows as one text: names of streams and fields are data there, never words of SQL. */
export function relationOfRows({ columns }: VirtualTable, rows: readonly Row[]): Relation {
  const names = Object.entries(columns);
  const values = rows.map((row) => names.map(([name, type]) => row[name] ?? defaultOf(type)));
  const type = `Array(Tuple(${names.map(([, one]) => one).join(', ')}))`;
  const selected = names.map(([name], index) => `row.${index + 1} AS ${quoteIdentifier(name)}`);
  const data = `JSONExtract(${quoteText(JSON.stringify(values))}, ${quoteText(type)})`;
  return { sql: `SELECT ${selected.join(', ')} FROM (SELECT arrayJoin(${data}) AS row)`, tables: [] };
}
