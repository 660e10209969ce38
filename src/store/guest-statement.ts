/**
 * What a guest's session takes at all: one statement that reads. The engine runs several statements of one text, and
 * obeys `SET ROLE`, `KILL` and `SYSTEM` of a session that is read-only; so these never reach it.
 *
 * Decided from the text: texts in quotes are skipped, and whatever could hide the end of a statement (comments, other
 * kinds of quotes) is refused. Statements of guests were formatted by the engine before, which leaves none of that.
 */
const QUOTED = /'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*"/gs;

const HEAD = /^\s*(?:SELECT|WITH|DESCRIBE|EXPLAIN (?:AST|QUERY TREE))\b/;

/** What is wrong with the statement, or undefined. */
export function checkGuestStatement(text: string): string | undefined {
  if (!HEAD.test(text)) return 'a guest may only read';
  const bare = text.replaceAll(QUOTED, ' q ');
  // The engine takes typographic quotes for quotes.
  if (/['"`‘’“”]/.test(bare)) return 'its quotes do not match';
  if (/;|--|\/\*|#|\$|\0/.test(bare)) return 'it is not a single statement without comments';
  if (/\bINTO\s+OUTFILE\b/i.test(bare)) return 'it writes a file';
  return undefined;
}
