/**
 * Words of a statement as the engine's own formatter writes it: on one line, without comments, texts in '…' and names in
 * `…`, both with backslashes only. Another text is never read here.
 */
export interface Token {
  readonly kind: 'word' | 'name' | 'text' | 'number' | 'symbol';
  /** As it stands in the statement. */
  readonly raw: string;
  /** What it says: names and texts without their quotes. */
  readonly value: string;
  /** The blanks in front of it. */
  readonly gap: string;
}

const TOKEN =
  /(?<word>[A-Za-z_]\w*)|(?<name>`(?:[^`\\]|\\.)*`)|(?<text>'(?:[^'\\]|\\.)*')|(?<number>\d\w*)|(?<symbol>\S)/gsu;

const ESCAPES: Readonly<Record<string, string>> = {
  ...{ 0: '\0', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', a: '\x07', v: '\v', e: '\x1b' },
};

export function tokensOf(canonical: string): readonly Token[] {
  let end = 0;
  return [...canonical.matchAll(TOKEN)].map((match) => {
    const [raw] = match;
    const gap = canonical.slice(end, match.index);
    end = match.index + raw.length;
    const kind = KINDS.find((one) => match.groups![one] !== undefined) ?? 'symbol';
    return { kind, raw, gap, value: kind === 'name' || kind === 'text' ? unquote(raw) : raw };
  });
}

const KINDS = ['word', 'name', 'text', 'number', 'symbol'] as const;

const unquote = (raw: string): string =>
  raw
    .slice(1, -1)
    .replaceAll(/\\x([0-9A-Fa-f]{2})|\\(.)/gs, (_all, hex: string | undefined, char: string) =>
      hex === undefined ? (ESCAPES[char] ?? char) : String.fromCharCode(Number.parseInt(hex, 16)),
    );

/** A statement again. */
export const textOf = (tokens: readonly Token[]): string =>
  tokens
    .map(({ gap, raw }) => gap + raw)
    .join('')
    .trim();

/** A word of our own in a statement. */
export const written = (raw: string): Token => ({ kind: 'symbol', raw, value: raw, gap: ' ' });

export const isWord = (token: Token | undefined, word: string): boolean =>
  token?.kind === 'word' && token.raw.toUpperCase() === word;

export const isSymbol = (token: Token | undefined, symbol: string): boolean =>
  token?.kind === 'symbol' && token.raw === symbol;

export const isName = (token: Token | undefined): token is Token =>
  token?.kind === 'word' || token?.kind === 'name';
