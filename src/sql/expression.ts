import { MillraceError } from '../base/errors.ts';
import type { Engine } from '../store/index.ts';
import { changesRows } from './functions.ts';
import { checkNodes, checkText } from './guard.ts';
import { explainToAsker, refusalOf } from './refusal.ts';

const LIMITS = { timeoutSeconds: 5, memoryBytesMax: 2 ** 28 };
const LENGTH_MAX = 10_000;

/**
 * A user's expression over the columns of one relation, as text that may stand in a SELECT list behind `FROM relation`:
 * it computes from the row alone. The engine's own reading of it is checked, so comments, further statements and
 * clauses are gone or refused. Fails with `bad-question`.
 *
 * @example
 * await guardExpression(engine, "replaceAll(line, ',', '.')", 'quarantined'); // "replaceAll(line, ',', '.')"
 */
export async function guardExpression(
  engine: Pick<Engine, 'query'>,
  expression: string,
  relation: string,
): Promise<string> {
  if (expression.length > LENGTH_MAX) throw refusal(`it is longer than ${LENGTH_MAX} characters`);
  const ask = async (text: string, params = {}): Promise<string> => {
    try {
      return Buffer.from(await engine.query({ text, params }, 'TSVRaw', LIMITS)).toString('utf8');
    } catch (error) {
      const explained = explainToAsker(error, 'fix');
      // What is not the author's fault may be asked again: his expression is not refused for it.
      if (!(explained instanceof MillraceError) || explained.code !== 'bad-question') throw explained;
      throw refusal(`the engine cannot read it: ${explained.issues[0]?.message ?? explained.message}`);
    }
  };
  const formatted = await ask('SELECT formatQuerySingleLine({query:String})', {
    query: `SELECT (${expression}\n) AS value FROM ${relation}`,
  });
  const canonical = formatted.replace(/\n$/, '');
  const mistake = checkText(canonical);
  if (mistake !== undefined) throw refusal(mistake);
  const inside = /^SELECT ([\s\S]*) AS value FROM (\w+)$/.exec(canonical);
  if (inside?.[2] !== relation) throw refusal('it must be one expression, nothing behind it');
  const nodes = await ask(`EXPLAIN AST SELECT * FROM (${canonical})`);
  const verdict = checkNodes(nodes, (name) => name === relation);
  if (!verdict.allowed) throw refusal(verdict.reason);
  const joining = [...nodes.matchAll(/^ *(?:Function (\w+)|(WindowDefinition|ArrayJoin))/gm)].find(
    ([, name, kind]) => kind !== undefined || changesRows(name!),
  );
  if (joining) throw refusal(`${joining[1] ?? joining[2]} makes more or fewer rows of one`);
  // The wrapping is one.
  if (nodes.match(/^ *Subquery/gm)?.length !== 1)
    throw refusal('it computes from one row; subqueries are not allowed');
  return inside[1]!;
}

const refusal = (reason: string): MillraceError => refusalOf('expression', 'fix', reason);
