/**
 * The names that a question in SQL reads from, by its words alone: what stands behind FROM, behind JOIN, or behind a comma
 * between them. It may be one too many (a subquery of that name, a column behind ARRAY JOIN); whoever has the engine's own
 * reading of the question checks that it is never one too few. Pure.
 */
const TOKEN = new RegExp(
  [
    String.raw`--[^\n]*|#[ !][^\n]*|\/\*[\s\S]*?(?:\*\/|$)`,
    '‘[^’]*’|“(?<curly>[^”]*)”',
    String.raw`'(?:[^'\\]|\\[\s\S]|'')*'`,
    String.raw`\$([A-Za-z_]*)\$[\s\S]*?\$\1\$`,
    '`(?<quoted>(?:[^`\\\\]|\\\\[\\s\\S])*)`',
    String.raw`"(?<doubled>(?:[^"\\]|\\[\s\S])*)"`,
    String.raw`(?<word>[A-Za-z_]\w*)`,
    '(?<sign>[(),.{}])',
  ].join('|'),
  'g',
);

/** Words that end the list behind a FROM. */
const ENDS = new Set(
  'PREWHERE WHERE GROUP HAVING WINDOW QUALIFY ORDER LIMIT OFFSET SETTINGS FORMAT UNION INTERSECT EXCEPT SELECT'.split(
    ' ',
  ),
);

interface Level {
  /** Between a FROM and the end of its list. */
  lists: boolean;
  /** The next name is a relation. */
  awaits: boolean;
}

export function relationsNamed(sql: string): readonly string[] {
  const found = new Set<string>();
  const levels: Level[] = [{ lists: false, awaits: false }];
  for (const match of sql.matchAll(TOKEN)) {
    const { quoted, doubled, curly, word, sign } = match.groups ?? {};
    const level = levels.at(-1)!;
    if (sign !== undefined) {
      if (sign === '(') levels.push({ lists: false, awaits: level.awaits });
      else if (sign === ')' && levels.length > 1) levels.pop();
      // A subquery was what the FROM awaited.
      if (sign === '(' || sign === '.') level.awaits = false;
      if (sign === ',' && level.lists) level.awaits = true;
      continue;
    }
    const keyword = word?.toUpperCase();
    if (keyword === 'FROM' || keyword === 'JOIN') {
      level.lists = true;
      level.awaits = true;
      continue;
    }
    if (keyword !== undefined && ENDS.has(keyword)) {
      level.lists = false;
      level.awaits = false;
      continue;
    }
    const name = word ?? quoted ?? doubled ?? curly;
    if (name === undefined || !level.awaits) continue;
    found.add(name);
    level.awaits = false;
  }
  return [...found];
}

/** The names that a text in SQL may mean columns with: its words and quoted names, but for those of functions that it calls. */
export function wordsOf(sql: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const match of sql.matchAll(TOKEN)) {
    const { quoted, doubled, curly, word } = match.groups ?? {};
    const name = word ?? quoted ?? doubled ?? curly;
    const isCall = word !== undefined && /^\s*\(/.test(sql.slice(match.index + match[0].length));
    if (name !== undefined && !isCall) found.add(name);
  }
  return found;
}
