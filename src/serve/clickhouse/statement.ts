/** What a statement asks for, and what it says about the form of its answer at its end. */

import { Refusal } from './refusal.ts';
import { isName, isSymbol, isWord, type Token } from './tokens.ts';

export interface Tail {
  readonly tokens: readonly Token[];
  /** `FORMAT x` */
  readonly format: string | undefined;
  /** `SETTINGS a = 1, …` behind everything else. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Takes `FORMAT x` and `SETTINGS …` off the end. A question that ends otherwise stays as it is. */
export function takeTail(tokens: readonly Token[]): Tail {
  let rest = tokens;
  let format: string | undefined;
  let settings: Readonly<Record<string, string>> = {};
  for (let pass = 0; pass < 2; pass += 1) {
    const end = rest.length;
    const isFormat =
      format === undefined &&
      isName(rest[end - 1]) &&
      isWord(rest[end - 2], 'FORMAT') &&
      startsClause(rest, end - 2);
    if (isFormat) {
      format = rest[end - 1]!.value;
      rest = rest.slice(0, -2);
      continue;
    }
    const found = settingsAt(rest);
    if (found === undefined) break;
    settings = { ...found.settings, ...settings };
    rest = rest.slice(0, found.start);
  }
  if (rest.some((token, at) => isWord(token, 'OUTFILE') && isWord(rest[at - 1], 'INTO'))) {
    throw new Refusal('READONLY', 'Cannot write into files');
  }
  return { tokens: rest, format, settings };
}

/** Not a name or an alias that only looks like the word. */
const startsClause = (tokens: readonly Token[], at: number): boolean =>
  at > 0 && !isWord(tokens[at - 1], 'AS') && !isSymbol(tokens[at - 1], '.') && !isSymbol(tokens[at - 1], ',');

function settingsAt(
  tokens: readonly Token[],
): { readonly start: number; readonly settings: Readonly<Record<string, string>> } | undefined {
  const start = tokens.findLastIndex((token, at) => isWord(token, 'SETTINGS') && startsClause(tokens, at));
  if (start === -1) return undefined;
  const settings: Record<string, string> = {};
  let at = start + 1;
  while (at < tokens.length) {
    const [name, equals, value, comma] = tokens.slice(at, at + 4);
    const plain = value !== undefined && ['text', 'number', 'word'].includes(value.kind);
    if (!isName(name) || !isSymbol(equals, '=') || !plain) return undefined;
    settings[name.value] = value.value;
    at += 3;
    if (comma === undefined) return { start, settings };
    if (!isSymbol(comma, ',')) return undefined;
    at += 1;
  }
  return undefined;
}

export type Kind = 'select' | 'show' | 'describe' | 'exists' | 'use';

/** Fails with `READONLY` for what would change something and with `ACCESS_DENIED` for what is not offered. */
export function kindOf(tokens: readonly Token[]): Kind {
  const [first] = tokens;
  switch (first?.kind === 'word' ? first.raw.toUpperCase() : first?.raw) {
    case 'SELECT':
    case 'WITH':
    case '(':
      return 'select';
    case 'SHOW':
      return 'show';
    case 'DESCRIBE':
      return 'describe';
    case 'EXISTS':
      return 'exists';
    case 'USE':
      return 'use';
    case 'EXPLAIN':
    case 'CHECK':
    case 'GRANT':
    case 'REVOKE':
      throw new Refusal('ACCESS_DENIED', `Not enough privileges: ${first?.raw} is not offered here`);
    default:
      throw new Refusal('READONLY', 'Cannot execute query in readonly mode');
  }
}
