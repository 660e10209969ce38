/**
 * Decides whether a question in SQL may run, from the engine's own reading of it. Everything is forbidden that is
 * not listed: kinds of nodes, functions, relations.
 *
 *     text ──formatQuerySingleLine──▶ one statement, no comments ──EXPLAIN AST of SELECT * FROM (…)──▶ nodes
 *
 * Inside parentheses there is no place for INTO OUTFILE, FORMAT or anything that is not a SELECT. A function
 * reaches the engine by its own name only: what takes a function as an argument takes a lambda written out, never a
 * name, and APPLY is not listed, so an identifier cannot become one. What the engine makes of the names is checked
 * once more (tree.ts).
 */
import { isAllowedFunction, isCast, isHigherOrder, mayBeHigherOrder } from './functions.ts';
import { isValueType } from './types.ts';

/** Kinds of nodes that only compute. Not here: Set (settings), transformers of columns, samples, everything unknown. */
const ALLOWED_NODES = new Set([
  'SelectWithUnionQuery',
  'SelectIntersectExceptQuery',
  'SelectQuery',
  'ExpressionList',
  'Asterisk',
  'QualifiedAsterisk',
  'Identifier',
  'TableIdentifier',
  'Literal',
  'Function',
  'Subquery',
  'WithElement',
  'TablesInSelectQuery',
  'TablesInSelectQueryElement',
  'TableExpression',
  'TableJoin',
  'ArrayJoin',
  'OrderByElement',
  'WindowDefinition',
  'WindowListElement',
]);

const IN_FUNCTIONS = new Set(['in', 'notin', 'globalin', 'globalnotin']);

export type Verdict =
  | { readonly allowed: true; readonly relations: ReadonlySet<string> }
  | { readonly allowed: false; readonly reason: string };

const refused = (reason: string): Verdict => ({ allowed: false, reason });

/** Text literals and quoted identifiers, as the engine writes them: with backslashes, never with doubled quotes. */
const QUOTED = /'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"/g;

/** Checks the text that `formatQuerySingleLine` gave, before the engine is asked for its nodes. */
export function checkText(canonical: string): string | undefined {
  // Control characters would let a name pretend to be several lines of the listing of nodes.
  for (const char of canonical) if (char < ' ') return 'it holds a control character';
  let bare = '';
  let end = 0;
  for (const match of canonical.matchAll(QUOTED)) {
    bare += canonical.slice(end, match.index);
    end = match.index + match[0].length;
    if (match[0][0] !== "'" && match[0].includes('\\'))
      return `the name ${match[0]} holds a character that names may not hold`;
  }
  bare += canonical.slice(end);
  if (bare.includes('\\') || bare.includes("'")) return 'its quotes do not match';
  if (/\bWITH RECURSIVE\b/i.test(bare)) return 'WITH RECURSIVE is not allowed';
  return checkPlaceholders(bare);
}

/** Text literals are gone from `bare`, so a brace opens a placeholder. */
function checkPlaceholders(bare: string): string | undefined {
  let rest = bare;
  for (const [placeholder, type] of bare.matchAll(/\{\s*\w+\s*:([^{}]*)\}/g)) {
    if (/^\s*Identifier\s*$/i.test(type!)) return 'a placeholder must be a value, not a name';
    // A time zone has left an empty place.
    if (!isValueType(type!)) return `${placeholder} is of a type that placeholders may not have`;
    rest = rest.replace(placeholder, '');
  }
  return /[{}]/.test(rest) ? 'its braces are no placeholders' : undefined;
}

/** Names that the question gives to subqueries of its own, or more: `NAME AS (`. */
export function ownRelations(canonical: string): ReadonlySet<string> {
  const bare = canonical.replaceAll(QUOTED, (quoted) => (quoted[0] === "'" ? "''" : quoted));
  return new Set([...bare.matchAll(/`?([A-Za-z_]\w*)`? AS \(/g)].map((match) => match[1]!));
}

interface Node {
  readonly depth: number;
  readonly kind: string;
  readonly name: string;
  /** Everything behind the kind. */
  readonly rest: string;
}

function nodesOf(listing: string): readonly Node[] {
  return listing
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, indent = '', kind = '', rest = ''] = /^( *)(\S+) ?(.*)$/.exec(line) ?? [];
      return { depth: indent.length, kind, name: rest.split(' ', 1)[0]!, rest };
    });
}

export interface NodeRules {
  /** Lambdas may stand in front of the arrays of functions that take them. */
  readonly lambdas?: boolean;
  /** Why a function is not allowed here that is allowed elsewhere. */
  readonly refuse?: ((name: string) => string | undefined) | undefined;
}

/** Checks the nodes of `SELECT * FROM (question)`; the first ones are of the wrapping and harmless. */
export function checkNodes(
  listing: string,
  known: (relation: string) => boolean,
  { lambdas: takesLambdas = false, refuse }: NodeRules = {},
): Verdict {
  const nodes = nodesOf(listing);
  /** Indexes of lambdas that stand where they may. */
  const lambdas = new Set<number>();
  if (nodes[0]?.kind !== 'SelectWithUnionQuery') return refused('it must be a SELECT');
  const relations = new Set<string>();
  for (const [index, node] of nodes.entries()) {
    if (!ALLOWED_NODES.has(node.kind)) {
      return refused(node.kind === 'Set' ? 'SETTINGS are not allowed' : `${node.kind} is not allowed`);
    }
    if (node.kind === 'TableIdentifier') {
      // All of it: a name may hold blanks.
      const table = node.rest.replace(/ \(alias .*\)$/, '');
      if (!known(table)) {
        return refused(
          `there is no stream or rollup ${JSON.stringify(table)}; GET /v1/streams and /v1/rollups list them`,
        );
      }
      relations.add(table);
    }
    if (node.kind !== 'Function') continue;
    if (
      nodes.slice(0, index).findLast((before) => before.depth === node.depth - 1)?.kind === 'TableExpression'
    ) {
      return refused(`table functions such as ${node.name} are not allowed`);
    }
    if (node.name === 'lambda') {
      if (!lambdas.has(index))
        return refused('a lambda stands only in front of the arrays of arrayMap and the like');
      continue;
    }
    if (!isAllowedFunction(node.name)) return refused(`the function ${node.name} is not allowed`);
    const reason = refuse?.(node.name.toLowerCase());
    if (reason !== undefined) return refused(reason);
    const [first, second] = argumentsOf(nodes, index);
    if (isHigherOrder(node.name) || (second !== undefined && mayBeHigherOrder(node.name))) {
      if (first === undefined || !isLambda(nodes[first])) {
        return refused(`${node.name} takes a lambda first, written out: x -> …`);
      }
    }
    if (first !== undefined && takesLambdas && mayTakeLambda(node.name) && isLambda(nodes[first]))
      lambdas.add(first);
    if (isCast(node.name)) {
      const type = nodes[argumentsOf(nodes, index).at(-1) ?? -1];
      const text = type?.kind === 'Literal' ? /^'(.*)'$/.exec(type.rest)?.[1] : undefined;
      if (text === undefined || !isValueType(text.replaceAll("\\'", "'"))) {
        return refused(`${node.name} needs a plain type of values, written out`);
      }
    }
    if (IN_FUNCTIONS.has(node.name.toLowerCase()) && !comparesWithValues(nodes, index)) {
      return refused('IN takes a list of values or a subquery; write IN (SELECT …)');
    }
  }
  return { allowed: true, relations };
}

const isLambda = (node: Node | undefined): boolean => node?.kind === 'Function' && node.name === 'lambda';
const mayTakeLambda = (name: string): boolean => isHigherOrder(name) || mayBeHigherOrder(name);

/** Where the arguments of a function stand in the listing; its parameters, if it has some, stand behind them. */
function argumentsOf(nodes: readonly Node[], index: number): readonly number[] {
  const { depth } = nodes[index]!;
  const found: number[] = [];
  for (let at = index + 1; at < nodes.length && nodes[at]!.depth > depth; at += 1) {
    if (nodes[at]!.depth === depth + 2) found.push(at);
  }
  return found;
}

/** False when the right side of an IN is a bare name: the engine would take it for a table. */
function comparesWithValues(nodes: readonly Node[], index: number): boolean {
  return argumentsOf(nodes, index)
    .slice(1)
    .every((at) => nodes[at]!.kind !== 'Identifier' && nodes[at]!.kind !== 'TableIdentifier');
}
