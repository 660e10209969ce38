/** SHOW, DESCRIBE and EXISTS as questions about the tables of the catalogue. */
import { quoteText } from '../../store/index.ts';
import { Refusal, unknownDatabase, unknownTable } from './refusal.ts';
import { isName, isSymbol, isWord, type Token } from './tokens.ts';

/** What there is, for whoever asks. */
export interface Known {
  /** The database of names without one. */
  readonly current: string;
  /** The name under which the database is listed; undefined when there is none of this name. */
  readonly database: (name: string) => string | undefined;
  readonly isRelation: (database: string, table: string) => boolean;
}

/** Reads a statement word by word. */
class Reader {
  #at = 0;
  readonly #tokens: readonly Token[];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  take(...words: readonly string[]): boolean {
    if (!words.every((word, index) => isWord(this.#tokens[this.#at + index], word))) return false;
    this.#at += words.length;
    return true;
  }

  name(): string {
    const token = this.#tokens[this.#at];
    if (!isName(token)) throw notOffered();
    this.#at += 1;
    return token.value;
  }

  next(kind: Token['kind']): string {
    const token = this.#tokens[this.#at];
    if (token?.kind !== kind) throw notOffered();
    this.#at += 1;
    return token.value;
  }

  qualified(): { readonly database: string | undefined; readonly table: string } {
    const first = this.name();
    if (!isSymbol(this.#tokens[this.#at], '.')) return { database: undefined, table: first };
    this.#at += 1;
    return { database: first, table: this.name() };
  }

  /** `[NOT] [I]LIKE 'pattern'` over a column, and `LIMIT n`; then the end. */
  filter(column: string): { readonly where: readonly string[]; readonly limit: string } {
    const not = this.take('NOT') ? 'NOT ' : '';
    const where: string[] = [];
    for (const operator of ['LIKE', 'ILIKE']) {
      if (this.take(operator)) where.push(`${column} ${not}${operator} ${quoteText(this.next('text'))}`);
    }
    const limit = this.take('LIMIT') ? ` LIMIT ${Number(this.next('number'))}` : '';
    this.end();
    return { where, limit };
  }

  end(): void {
    if (this.#at !== this.#tokens.length) throw notOffered();
  }
}

const notOffered = (): Refusal =>
  new Refusal('ACCESS_DENIED', 'Not enough privileges: this form of the statement is not offered here');

const selection = (columns: string, from: string, where: readonly string[], rest: string): string =>
  `SELECT ${columns} FROM ${from}${where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`}${rest}`;

function databaseOf(known: Known, name: string | undefined): string {
  const asked = name ?? known.current;
  const database = known.database(asked);
  if (database === undefined) throw unknownDatabase(asked);
  return database;
}

function tableOf(
  known: Known,
  { database, table }: { readonly database: string | undefined; readonly table: string },
): readonly string[] {
  const found = databaseOf(known, database);
  if (!known.isRelation(found, table)) throw unknownTable(database, table);
  return [`database = ${quoteText(found)}`, `table = ${quoteText(table)}`];
}

const asTables = (where: readonly string[]): readonly string[] =>
  where.map((one) => one.replace(/^table = /, 'name = '));

const BY_NAME: Readonly<Record<string, string>> = {
  FUNCTIONS: 'system.functions',
  ENGINES: 'system.table_engines',
  PROCESSLIST: 'system.processes',
  CLUSTERS: 'system.clusters',
  DICTIONARIES: 'system.dictionaries',
};

/** Fails with `ACCESS_DENIED` for what is not offered, `UNKNOWN_DATABASE`, `UNKNOWN_TABLE`. */
export function showToSelect(tokens: readonly Token[], known: Known): string {
  const reader = new Reader(tokens);
  reader.take('SHOW');
  if (reader.take('DATABASES')) {
    const { where, limit } = reader.filter('name');
    return selection('name', 'system.databases', where, ` ORDER BY name${limit}`);
  }
  if (reader.take('CREATE')) {
    const isDatabase = reader.take('DATABASE');
    if (isDatabase) {
      const database = databaseOf(known, reader.name());
      reader.end();
      return `SELECT ${quoteText(`CREATE DATABASE ${database}`)} AS statement`;
    }
    if (!reader.take('TABLE')) reader.take('VIEW');
    const where = tableOf(known, reader.qualified());
    reader.end();
    return selection('create_table_query AS statement', 'system.tables', asTables(where), '');
  }
  if (reader.take('SETTINGS')) {
    const { where } = reader.filter('name');
    return selection('name, type, value', 'system.settings', where, ' ORDER BY name');
  }
  if (reader.take('GRANTS')) {
    reader.end();
    return `SELECT concat('GRANT SELECT ON ', name, '.* TO ', currentUser()) AS grants FROM system.databases ORDER BY name`;
  }
  for (const [word, from] of Object.entries(BY_NAME)) {
    if (!reader.take(word)) continue;
    const { where } = reader.filter('name');
    return selection('*', from, where, '');
  }
  if (reader.take('INDEXES')) return indexes(reader, known);
  reader.take('EXTENDED');
  const isFull = reader.take('FULL');
  if (reader.take('COLUMNS')) return columns(reader, known, isFull);
  reader.take('TEMPORARY');
  // The formatter leaves out FULL.
  if (!reader.take('TABLES')) throw notOffered();
  const database = databaseOf(known, reader.take('FROM') ? reader.name() : undefined);
  const { where, limit } = reader.filter('name');
  return selection(
    'name',
    'system.tables',
    [`database = ${quoteText(database)}`, ...where],
    ` ORDER BY name${limit}`,
  );
}

/** The formatter writes `FROM table FROM database`. */
function place(reader: Reader): { readonly database: string | undefined; readonly table: string } {
  if (!reader.take('FROM')) throw notOffered();
  const table = reader.name();
  return { table, database: reader.take('FROM') ? reader.name() : undefined };
}

function columns(reader: Reader, known: Known, isFull: boolean): string {
  const where = tableOf(known, place(reader));
  const { where: like, limit } = reader.filter('name');
  const more = isFull ? ", NULL AS collation, comment, '' AS privileges" : '';
  return selection(
    `name AS field, type, if(startsWith(type, 'Nullable'), 'YES', 'NO') AS \`null\`, '' AS key, NULL AS default, '' AS extra${more}`,
    'system.columns',
    [...where, ...like],
    ` ORDER BY position${limit}`,
  );
}

function indexes(reader: Reader, known: Known): string {
  tableOf(known, place(reader));
  reader.end();
  return "SELECT '' AS table, 0 AS non_unique, '' AS key_name, 0 AS seq_in_index, '' AS column_name, '' AS index_type, '' AS comment WHERE 0";
}

/** Of a relation. A subquery is described by its guarded statement. */
export function describeToSelect(tokens: readonly Token[], known: Known): string {
  const reader = new Reader(tokens);
  reader.take('DESCRIBE', 'TABLE');
  const where = tableOf(known, reader.qualified());
  reader.end();
  return selection(
    "name, type, default_kind AS default_type, default_expression, comment, compression_codec AS codec_expression, '' AS ttl_expression",
    'system.columns',
    where,
    ' ORDER BY position',
  );
}

/** The subquery of `DESCRIBE TABLE (SELECT …)`. */
export function describedSubquery(tokens: readonly Token[]): readonly Token[] | undefined {
  const inner = tokens.slice(2);
  if (!isSymbol(inner[0], '(') || !isSymbol(inner.at(-1), ')')) return undefined;
  return inner.slice(1, -1);
}

export function existsToSelect(tokens: readonly Token[], known: Known): string {
  const reader = new Reader(tokens);
  reader.take('EXISTS');
  const isDatabase = reader.take('DATABASE');
  if (!isDatabase && !reader.take('TABLE') && !reader.take('VIEW')) reader.take('TEMPORARY', 'TABLE');
  const asked = reader.qualified();
  reader.end();
  const database = known.database((isDatabase ? asked.table : asked.database) ?? known.current);
  const exists = database !== undefined && (isDatabase || known.isRelation(database, asked.table));
  return `SELECT toUInt8(${exists ? 1 : 0}) AS result`;
}

/** `USE database`: connections keep no state here, so it only says whether there is such a database. */
export function checkUse(tokens: readonly Token[], known: Known): void {
  const reader = new Reader(tokens);
  reader.take('USE');
  reader.take('DATABASE');
  databaseOf(known, reader.name());
  reader.end();
}
