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
}

/** A name that the question gave itself is bound to this outside of its scope: it finds no rows. */
const NOTHING = 'SELECT 0 AS nothing WHERE 0';

/** The statement to run. Fails with `bad-question`, or as the engine does. */
export async function guardQuestion(parts: QuestionParts, query: string, params: object): Promise<string> {
  const ask = async (text: string, bound: object): Promise<string> => {
    try {
      return await parts.ask(text, bound);
    } catch (error) {
      throw explainToAsker(error);
    }
  };
  const refusal = (reason: string): Error => refusalOf('question', 'query', reason);

  const canonical = (
    await ask('SELECT formatQuerySingleLine({millrace_question:String})', {
      millrace_question: query,
    })
  ).replace(/\n$/, '');
  const mistake = checkText(canonical);
  if (mistake !== undefined) throw refusal(mistake);
  const wrapped = `SELECT * FROM (${canonical})`;

  const own = ownRelations(canonical);
  const verdict = checkNodes(
    await ask(`EXPLAIN AST ${wrapped}`, params),
    (name) => own.has(name) || parts.relation(name) !== undefined,
    { lambdas: true },
  );
  if (!verdict.allowed) throw refusal(verdict.reason);

  // Every name that the question reads is bound here, so none can reach a table of the engine.
  const relations = [...verdict.relations].map((name) => ({ name, relation: parts.relation(name) }));
  const bound = relations.map(
    ({ name, relation }) => `${parts.quoteName(name)} AS (${relation?.sql ?? NOTHING})`,
  );
  const statement = `${bound.length === 0 ? '' : `WITH ${bound.join(', ')} `}${wrapped}`;
  const tables = new Set(relations.flatMap(({ relation }) => relation?.tables ?? []));
  const meaning = checkTree(await ask(`EXPLAIN QUERY TREE ${statement}`, params), tables);
  if (meaning !== undefined) throw refusal(meaning);
  return statement;
}
