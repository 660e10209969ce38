/**
 * From the text of a question to a statement that may run.
 *
 *     text ─format─▶ canonical text ─EXPLAIN AST─▶ nodes: what is written ─names bound─▶ statement
 *                                                      ─EXPLAIN QUERY TREE─▶ tree: what it means ─▶ run
 *
 * The first reading keeps the engine from evaluating anything that is not listed while it resolves names for the
 * second. The statement that is run is, byte for byte, the one whose tree was read.
 */
import { checkNodes, checkText, ownRelations } from './guard.ts';
import { explainToAsker, refusalOf } from './refusal.ts';
import { checkTree } from './tree.ts';

/** The SELECT behind a name, and the tables of the engine that it reads, unquoted: `database.table`. */
export interface Relation {
  readonly sql: string;
  readonly tables: readonly string[];
}

export interface QuestionParts {
  /** Asks the engine for text, under the limits of the question, with its parameters bound. */
  readonly ask: (text: string, params: object) => Promise<string>;
  readonly relation: (name: string) => Relation | undefined;
  readonly quoteName: (name: string) => string;
  /** Why a function is not allowed here that is allowed elsewhere; its name is in lower case. */
  readonly refuse?: ((name: string) => string | undefined) | undefined;
}

/** A name that the question gave itself is bound to this outside of its scope: it finds no rows. */
const NOTHING = 'SELECT 0 AS nothing WHERE 0';

/** The first reading of a question: what is written. */
export interface Reading {
  /** As the engine writes it, on one line. */
  readonly canonical: string;
  /** The names that it reads from, its own subqueries among them. */
  readonly relations: ReadonlySet<string>;
}

export interface Guarded extends Reading {
  readonly statement: string;
  /** The engine's listing of what it means. */
  readonly tree: string;
}

/** The statement to run. Fails with `bad-question`, or as the engine does. */
export async function guardQuestion(parts: QuestionParts, query: string, params: object): Promise<string> {
  return (await readAndGuard(parts, query, params)).statement;
}

/** Reads a question without binding its names; `known` says which there are. Fails as `guardQuestion` does. */
export async function readQuestion(
  { ask, refuse }: Pick<QuestionParts, 'ask' | 'refuse'>,
  query: string,
  params: object,
  known: (name: string) => boolean,
): Promise<Reading> {
  const explained = explaining(ask);
  const canonical = (
    await explained('SELECT formatQuerySingleLine({millrace_question:String})', { millrace_question: query })
  ).replace(/\n$/, '');
  const mistake = checkText(canonical);
  if (mistake !== undefined) throw refusal(mistake);
  const own = ownRelations(canonical);
  const verdict = checkNodes(
    await explained(`EXPLAIN AST ${wrapped(canonical)}`, params),
    (name) => own.has(name) || known(name),
    { lambdas: true, refuse },
  );
  if (!verdict.allowed) throw refusal(verdict.reason);
  return { canonical, relations: verdict.relations };
}

export async function readAndGuard(parts: QuestionParts, query: string, params: object): Promise<Guarded> {
  const { canonical, relations: named } = await readQuestion(
    parts,
    query,
    params,
    (name) => parts.relation(name) !== undefined,
  );
  // Every name that the question reads is bound here, so none can reach a table of the engine.
  const relations = [...named].map((name) => ({ name, relation: parts.relation(name) }));
  const bound = relations.map(
    ({ name, relation }) => `${parts.quoteName(name)} AS (${relation?.sql ?? NOTHING})`,
  );
  const statement = `${bound.length === 0 ? '' : `WITH ${bound.join(', ')} `}${wrapped(canonical)}`;
  const tables = new Set(relations.flatMap(({ relation }) => relation?.tables ?? []));
  const tree = await explaining(parts.ask)(`EXPLAIN QUERY TREE ${statement}`, params);
  const meaning = checkTree(tree, tables);
  if (meaning !== undefined) throw refusal(meaning);
  return { canonical, relations: named, statement, tree };
}

const wrapped = (canonical: string): string => `SELECT * FROM (${canonical})`;
const refusal = (reason: string): Error => refusalOf('question', 'query', reason);

const explaining =
  (ask: QuestionParts['ask']): QuestionParts['ask'] =>
  async (text, bound) => {
    try {
      return await ask(text, bound);
    } catch (error) {
      throw explainToAsker(error);
    }
  };
