/** What a person who asked in SQL is told when it does not go well: enough to mend the question, nothing of the machine. */
import { MillraceError } from '../base/errors.ts';

/** `what`: "question", "expression"; `path` is where the mistake stands in the request. */
export const refusalOf = (what: string, path: string, reason: string): MillraceError =>
  new MillraceError('bad-question', `This ${what} is not allowed: ${reason}.`, {
    issues: [{ path, message: reason }],
  });

/**
 * Failures whose words concern only the question and the rows that it may read: syntax, names, types, values. The
 * words of all others (files, configuration, logic of the engine) stay inside.
 */
const CODES_OF_QUESTIONS = new Set([
  ...[
    1, 6, 8, 10, 20, 27, 32, 33, 35, 36, 38, 41, 42, 43, 44, 46, 47, 48, 50, 51, 52, 53, 60, 62, 63, 69, 70,
    72,
  ],
  ...[
    80, 107, 115, 125, 126, 128, 130, 131, 135, 152, 153, 162, 166, 167, 168, 172, 179, 182, 183, 184, 186,
    190,
  ],
  ...[
    206, 207, 215, 271, 300, 306, 321, 349, 352, 386, 395, 403, 407, 427, 431, 439, 456, 457, 467, 475, 542,
    691,
  ],
  ...[636, 637, 675, 702, 718],
]);

const LENGTH_MAX = 500;

/** The engine's failure for the person who asked; what is no failure of the engine comes back as it is. */
export function explainToAsker(error: unknown, path = 'query'): unknown {
  if (!(error instanceof MillraceError) || error.code !== 'store-unavailable') return error;
  const words = error.cause instanceof Error ? error.cause.message : '';
  const code = Number(/Code: (\d+)\. DB::/.exec(words)?.[1] ?? 0);
  if (code === 0)
    return new MillraceError('store-unavailable', 'The store cannot answer now.', { cause: error });
  const reason = CODES_OF_QUESTIONS.has(code) ? wordsOf(words) : `the engine cannot answer it (code ${code})`;
  return new MillraceError('bad-question', `The store does not understand the question: ${reason}`, {
    cause: error,
    issues: [{ path, message: reason }],
  });
}

/** The engine's sentence without the statement around it; names of its tables become names of nothing. */
function wordsOf(words: string): string {
  const sentence = /DB::Exception: ([\s\S]*?)(?:[:.,]? (?:In scope|in scope) |: [Ww]hile |\(version|$)/.exec(
    words,
  )?.[1];
  return (sentence ?? 'it cannot be read')
    .slice(0, LENGTH_MAX)
    .replaceAll(/`?\bt_\w+`?\.`?(\w+)`?/g, 'a table')
    .replaceAll(/(?<![\w'])\/(?:[\w.-]+\/)+[\w.-]*/g, 'a path')
    .replace(/\s*(?:Maybe you meant:|Consider rising )[^.]*\.?/, '')
    .trim();
}
