/**
 * The same rows in the same order whenever the same data is asked: what keeps an answer from depending on the parts in which
 * the engine has its rows, and on the order in which it reads them. Pure.
 *
 *   rows that are equal in the question's own order   come in the order of their columns (withTotalOrder)
 *   numbers that depend on the order of reading       events are sorted first, and one thread reads them (dependsOnOrder)
 */
import type { Guarded } from '../sql/index.ts';

const QUOTED = /'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"/g;

/** The text with everything in quotes blanked, of the same length; and the part of it that lies in no brackets. */
function bare(canonical: string): { readonly all: string; readonly outside: string } {
  const all = canonical.replaceAll(QUOTED, (quoted) => 'q'.repeat(quoted.length));
  let depth = 0;
  let outside = '';
  for (const char of all) {
    if (char === ')') depth -= 1;
    outside += depth > 0 ? '.' : char;
    if (char === '(') depth += 1;
  }
  return { all, outside };
}

const SETS = / (?:UNION|INTERSECT|EXCEPT) /;
/** What may follow the list of an ORDER BY. */
const BEHIND = / (?:LIMIT|OFFSET|FETCH) /;
/** They add rows to an order, or cut it by the order's own keys: nothing can be put behind those. */
const KEEPS_KEYS = /\bWITH (?:FILL|TIES)\b/;
const BY_ALL = / ORDER BY ALL\b/;

/** The question in canonical form with its columns, `columns` of them, as the last keys of its order. */
export function withTotalOrder(canonical: string, columns: number): string {
  const { outside } = bare(canonical);
  const keys = Array.from({ length: columns }, (_, at) => at + 1).join(', ');
  if (SETS.test(outside)) return `SELECT * FROM (${canonical}) ORDER BY ${keys}`;
  if (KEEPS_KEYS.test(outside) || BY_ALL.test(outside)) return canonical;
  const order = outside.lastIndexOf(' ORDER BY ');
  const from = Math.max(0, order);
  const behind = BEHIND.exec(outside.slice(from));
  const end = behind === null ? canonical.length : from + behind.index;
  const added = order < 0 ? ` ORDER BY ${keys}` : `, ${keys}`;
  return canonical.slice(0, end) + added + canonical.slice(end);
}

/** Aggregates that give the same in any order, as long as they do not add up numbers with a binary fraction. */
const IN_ANY_ORDER = new Set(
  ['count', 'sum', 'sumwithoverflow', 'min', 'max', 'avg', 'uniq', 'uniqexact', 'uniqcombined'].concat([
    ...['uniqcombined64', 'uniqhll12', 'quantileexact', 'quantilesexact', 'medianexact'],
    ...['groupbitand', 'groupbitor', 'groupbitxor'],
  ]),
);
const COMBINATORS = /(?:distinct|ornull|ordefault|array|if|simplestate|state|merge)+$/;

/** A subquery in the place of a value: the engine has computed it before it tells what the question means. */
const SCALAR = /(?<!\b(?:FROM|JOIN|IN|AS) )\(SELECT\b/;

/** Whether the answer, or which rows are in it, may depend on the order in which rows are read; true when in doubt. */
export function dependsOnOrder({ canonical, tree }: Pick<Guarded, 'canonical' | 'tree'>): boolean {
  const { all, outside } = bare(canonical);
  if (KEEPS_KEYS.test(all)) return true;
  if (SCALAR.test(all)) return true;
  const limits = (text: string): number => text.match(/\b(?:LIMIT|OFFSET|FETCH)\b/g)?.length ?? 0;
  if (limits(all) > limits(outside)) return true;
  if (SETS.test(outside) && limits(outside) > 0) return true;
  const lines = tree.split('\n').map((line) => line.trim());
  return lines.some((line, at) => {
    if (/^JOIN id: .*strictness: (?!ALL)/.test(line)) return true;
    if (!line.startsWith('FUNCTION id: ')) return false;
    if (line.includes('function_type: window')) return true;
    if (!line.includes('function_type: aggregate')) return false;
    const [, name = ''] = /function_name: ([^\s,]+)/.exec(line) ?? [];
    const plain = name.toLowerCase();
    const known = IN_ANY_ORDER.has(plain) ? plain : plain.replace(COMBINATORS, '');
    if (!IN_ANY_ORDER.has(known)) return true;
    // Averages are always such numbers; what is added up for one need not be.
    return /Float|BFloat/.test(known === 'avg' ? argumentTypeOf(lines, at) : line);
  });
}

/** The type of the first argument of the function in that line. */
const argumentTypeOf = (lines: readonly string[], at: number): string =>
  lines.slice(at + 1).find((line) => /(?:result|constant_value)_type: /.test(line)) ?? 'Float64';
