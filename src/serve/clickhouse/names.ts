/**
 * What a question calls by names that only a server knows (`database.table`, `version()`) in words that the guard knows.
 * It only ever writes names and constants of ours in place of names; whether the result may run is decided by the guard,
 * from the result.
 */
import { quoteIdentifier } from '../../store/index.ts';
import { isName, isSymbol, isWord, type Token, textOf, tokensOf, written } from './tokens.ts';

/** A relation under the name that the question is given for it. */
export interface Bound {
  readonly database: string;
  readonly table: string;
}

export interface Names {
  /** Whether `database.table` is a relation of whoever asks. */
  readonly isRelation: (database: string, table: string) => boolean;
  /** By the lower-case name of a function without arguments: an expression of constants. */
  readonly constants: Readonly<Record<string, string>>;
}

export interface Renamed {
  readonly text: string;
  readonly bound: ReadonlyMap<string, Bound>;
}

const IN_FRONT_OF_TABLES = new Set(['FROM', 'JOIN']);

export function rename(tokens: readonly Token[], names: Names): Renamed {
  const relations = new Map<string, { readonly bound: string; alias: string | undefined }>();
  const bound = new Map<string, Bound>();
  const nameFor = (
    database: string,
    table: string,
  ): { readonly bound: string; alias: string | undefined } => {
    const key = JSON.stringify([database, table]);
    let entry = relations.get(key);
    if (entry === undefined) {
      entry = { bound: `_relation_${relations.size}`, alias: undefined };
      relations.set(key, entry);
      bound.set(entry.bound, { database, table });
    }
    return entry;
  };

  // Tables first: `database.table.column` elsewhere means the name under which the table was taken.
  const withTables: Token[] = [];
  for (let at = 0; at < tokens.length; at += 1) {
    const pair = pairAt(tokens, at, names);
    if (pair === undefined || isSymbol(tokens[at + 3], '.') || !isTablePlace(tokens[at - 1])) {
      withTables.push(tokens[at]!);
      continue;
    }
    const entry = nameFor(pair.database, pair.table);
    const hasAlias = isWord(tokens[at + 3], 'AS') && isName(tokens[at + 4]);
    const alias = hasAlias ? tokens[at + 4]!.value : pair.table;
    entry.alias ??= alias;
    withTables.push(written(entry.bound), ...(hasAlias ? [] : [written(`AS ${quoteIdentifier(alias)}`)]));
    at += 2;
  }

  const renamed: Token[] = [];
  for (let at = 0; at < withTables.length; at += 1) {
    const token = withTables[at]!;
    const pair = pairAt(withTables, at, names);
    const alias = pair && relations.get(JSON.stringify([pair.database, pair.table]))?.alias;
    if (alias !== undefined && isSymbol(withTables[at + 3], '.')) {
      renamed.push({ ...written(quoteIdentifier(alias)), gap: token.gap });
      at += 2;
      continue;
    }
    const constant = constantAt(withTables, at, names);
    if (constant === undefined) {
      renamed.push(token);
      continue;
    }
    const hasAlias = isWord(withTables[at + 3], 'AS');
    // The answer's column keeps the name that it would have had.
    const name = quoteIdentifier(`${token.value}()`);
    renamed.push({ ...written(hasAlias ? constant : `(${constant} AS ${name})`), gap: token.gap });
    at += 2;
  }
  return { text: textOf(renamed), bound };
}

function pairAt(tokens: readonly Token[], at: number, names: Names): Bound | undefined {
  const [database, dot, table] = tokens.slice(at, at + 3);
  if (!isName(database) || !isSymbol(dot, '.') || !isName(table) || isSymbol(tokens[at - 1], '.'))
    return undefined;
  return names.isRelation(database.value, table.value)
    ? { database: database.value, table: table.value }
    : undefined;
}

const isTablePlace = (before: Token | undefined): boolean =>
  isSymbol(before, ',') || (before?.kind === 'word' && IN_FRONT_OF_TABLES.has(before.raw.toUpperCase()));

function constantAt(tokens: readonly Token[], at: number, { constants }: Names): string | undefined {
  const [name, open, close] = tokens.slice(at, at + 3);
  if (!isName(name) || !isSymbol(open, '(') || !isSymbol(close, ')') || isSymbol(tokens[at - 1], '.'))
    return undefined;
  const known = name.value.toLowerCase();
  return Object.hasOwn(constants, known) ? constants[known] : undefined;
}

/**
 * `FROM VALUES((1, 'a'), …)`, a table function that only writes rows down, as a subquery that does the same. With a
 * structure as the first argument it stays what it is, and the guard refuses it.
 */
export function valuesToSubquery(tokens: readonly Token[]): readonly Token[] {
  const result: Token[] = [];
  for (let at = 0; at < tokens.length; at += 1) {
    const end = isTablePlace(tokens[at - 1]) && isValues(tokens, at) ? closingOf(tokens, at + 1) : undefined;
    const rows = end === undefined ? undefined : rowsOf(tokens.slice(at + 2, end));
    if (end === undefined || rows === undefined) {
      result.push(tokens[at]!);
      continue;
    }
    const columns = Array.from({ length: rows.width }, (_, index) => `row.${index + 1} AS c${index + 1}`);
    result.push(
      ...tokensOf(` (SELECT ${columns.join(', ')} FROM (SELECT arrayJoin([`),
      ...rows.tokens,
      ...tokensOf(']) AS row))'),
    );
    at = end;
  }
  return result;
}

const isValues = (tokens: readonly Token[], at: number): boolean =>
  isName(tokens[at]) && tokens[at]!.value.toLowerCase() === 'values' && isSymbol(tokens[at + 1], '(');

const OPEN = new Set(['(', '[', '{']);
const CLOSE = new Set([')', ']', '}']);
const depthOf = (token: Token): number =>
  token.kind !== 'symbol' ? 0 : OPEN.has(token.raw) ? 1 : CLOSE.has(token.raw) ? -1 : 0;

function closingOf(tokens: readonly Token[], open: number): number | undefined {
  let depth = 0;
  for (let at = open; at < tokens.length; at += 1) {
    depth += depthOf(tokens[at]!);
    if (depth === 0) return at;
  }
  return undefined;
}

/** Rows in parentheses, all of one width of two or more; undefined for everything else. */
function rowsOf(
  tokens: readonly Token[],
): { readonly tokens: readonly Token[]; readonly width: number } | undefined {
  const widths = new Set<number>();
  let depth = 0;
  let width = 0;
  for (const [at, token] of tokens.entries()) {
    if (depth === 0 && !isSymbol(token, ',') && !isSymbol(token, '(')) return undefined;
    const before = depth;
    depth += depthOf(token);
    if (before === 0 && depth === 1) width = isSymbol(tokens[at + 1], ')') ? 0 : 1;
    if (depth === 1 && isSymbol(token, ',')) width += 1;
    if (before === 1 && depth === 0) widths.add(width);
  }
  const [only = 0] = widths;
  return widths.size === 1 && only > 1 && depth === 0 ? { tokens, width: only } : undefined;
}
