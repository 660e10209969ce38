/**
 * The second reading of a question: what the engine has made of its names. Here APPLY(f) and arrayMap(f, …) are calls
 * of f, a name is the table that it reads, a setting stands under its name. Only kinds of nodes, functions and tables
 * that are listed pass; a line that is not understood does not.
 *
 * Text of the question (names, values) is escaped in the listing and cannot make a line of its own; within a line it
 * can only add words, and words can only make a refusal of an approval.
 */
import { isCast, isResolvedFunction } from './functions.ts';

const KINDS = new Set([
  ...['QUERY', 'UNION', 'LIST', 'COLUMN', 'FUNCTION', 'LAMBDA', 'CONSTANT', 'TABLE', 'JOIN', 'CROSS JOIN'],
  ...['ARRAY_JOIN', 'WINDOW', 'SORT', 'INTERPOLATE'],
]);

/** Headings of what belongs to a node. Not here: SETTINGS. */
const HEADINGS = new Set([
  ...[
    'PROJECTION COLUMNS',
    'PROJECTION',
    'JOIN TREE',
    'WITH',
    'PREWHERE',
    'WHERE',
    'GROUP BY',
    'HAVING',
    'WINDOW',
  ],
  ...[
    'QUALIFY',
    'ORDER BY',
    'INTERPOLATE',
    'INTERPOLATE_EXPRESSION',
    'LIMIT BY',
    'LIMIT BY LIMIT',
    'LIMIT BY OFFSET',
  ],
  ...[
    'LIMIT',
    'OFFSET',
    'QUERIES',
    'ARGUMENTS',
    'PARAMETERS',
    'EXPRESSION',
    'PARTITION BY',
    'FRAME BEGIN OFFSET',
  ],
  ...['FRAME END OFFSET', 'FILL FROM', 'FILL TO', 'FILL STEP', 'FILL STALENESS', 'LEFT TABLE EXPRESSION'],
  ...[
    'RIGHT TABLE EXPRESSION',
    'TABLE EXPRESSION',
    'TABLE EXPRESSIONS',
    'JOIN EXPRESSION',
    'JOIN EXPRESSIONS',
  ],
  ...['CORRELATED COLUMNS'],
]);

/** Where a SELECT without FROM reads from. */
const NOWHERE = 'system.one';

/** What is wrong with the resolved question, or undefined. `tables` are those that the bound relations read, unquoted. */
export function checkTree(listing: string, tables: ReadonlySet<string>): string | undefined {
  /** Depth of the heading above the list of columns, whose lines are text: a name and a type. */
  let columnsBelow: number | undefined;
  for (const line of listing.split('\n')) {
    const text = line.trim();
    if (text === '') continue;
    const depth = line.length - line.trimStart().length;
    if (columnsBelow !== undefined && depth > columnsBelow) continue;
    columnsBelow = text === 'PROJECTION COLUMNS' ? depth : undefined;
    const mistake = checkLine(text, tables);
    if (mistake !== undefined) return mistake;
  }
  return undefined;
}

function checkLine(text: string, tables: ReadonlySet<string>): string | undefined {
  const kind = /^([A-Z_ ]+?) id: \d+/.exec(text)?.[1];
  if (kind === undefined) {
    // An expression may carry the text that it was written as.
    const heading = /^EXPRESSION /.test(text) ? 'EXPRESSION' : text;
    if (HEADINGS.has(heading)) return undefined;
    return /^SETTINGS /.test(text) ? 'SETTINGS are not allowed' : `${kindOf(text)} is not allowed`;
  }
  if (!KINDS.has(kind)) return `${kindOf(text)} is not allowed`;
  if (/, is_recursive_/.test(text)) return 'WITH RECURSIVE is not allowed';
  if (kind === 'FUNCTION') return checkFunction(text);
  if (kind === 'TABLE') return checkTable(text, tables);
  if (kind === 'CONSTANT' && /, constant_value_type: .*AggregateFunction\(/.test(text)) {
    return 'a state of an aggregate cannot be written as a value';
  }
  return undefined;
}

function checkFunction(text: string): string | undefined {
  const names = [...text.matchAll(/function_name: ([^\s,]*)/g)].map((match) => match[1]!);
  if (names.length === 0) return 'a function has no name';
  for (const name of names) {
    if (!isResolvedFunction(name)) return `the function ${name} is not allowed`;
    if (isCast(name) && /result_type: .*AggregateFunction\(/.test(text)) {
      return 'a state of an aggregate cannot be made of a value';
    }
  }
  return undefined;
}

function checkTable(text: string, tables: ReadonlySet<string>): string | undefined {
  const names = [...text.matchAll(/table(?:_name)?: ([^\s,]*)/g)].map((match) =>
    match[1]!.replaceAll('`', ''),
  );
  if (names.length === 0) return 'a table has no name';
  // Which table it is stays unsaid: whoever asks was told the names that he may use.
  return names.every((name) => name === NOWHERE || tables.has(name))
    ? undefined
    : 'it reads a table that is no stream or rollup';
}

const kindOf = (text: string): string => text.split(' id: ', 1)[0]!.slice(0, 40);
