/**
 * Changes to the text of one JSON object that leave everything else of it byte for byte: numbers keep their
 * digits, strings their escapes. Works on Latin-1 text, so that bytes which are not UTF-8 survive as well.
 */
export interface Member {
  /** The key as it stands between its quotes. */
  readonly key: string;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

/** The members of the outermost object; undefined when the text is not built like one. */
export function membersOf(text: string): readonly Member[] | undefined {
  const members: Member[] = [];
  let at = skipSpace(text, 0);
  if (text[at] !== '{') return undefined;
  at = skipSpace(text, at + 1);
  if (text[at] === '}') return members;
  for (;;) {
    if (text[at] !== '"') return undefined;
    const keyEnd = stringEnd(text, at);
    const colon = skipSpace(text, keyEnd);
    if (text[colon] !== ':') return undefined;
    const valueStart = skipSpace(text, colon + 1);
    const valueEnd = endOfValue(text, valueStart);
    if (valueEnd <= valueStart) return undefined;
    members.push({ key: text.slice(at + 1, keyEnd - 1), keyStart: at, keyEnd, valueStart, valueEnd });
    at = skipSpace(text, valueEnd);
    if (text[at] === '}') return members;
    if (text[at] !== ',') return undefined;
    at = skipSpace(text, at + 1);
  }
}

/** Renames outermost keys, and turns the JSON in the string values of `jsonCells` into values. */
export function rewrite(
  text: string,
  renames: ReadonlyMap<string, string>,
  jsonCells: ReadonlySet<string>,
): string {
  const members = membersOf(text);
  if (members === undefined) return text;
  let out = '';
  let copied = 0;
  for (const member of members) {
    const renamed = renames.get(member.key);
    const key = renamed ?? member.key;
    if (renamed !== undefined) {
      out += `${text.slice(copied, member.keyStart)}"${renamed}"`;
      copied = member.keyEnd;
    }
    if (jsonCells.has(key) && text[member.valueStart] === '"') {
      const json = jsonOf(text.slice(member.valueStart, member.valueEnd));
      if (json === undefined) continue;
      out += text.slice(copied, member.valueStart) + json;
      copied = member.valueEnd;
    }
  }
  return out + text.slice(copied);
}

/** `"[1, 2]"` → `[1, 2]`; undefined when the string does not hold JSON that stays on one line. */
function jsonOf(quoted: string): string | undefined {
  try {
    const inner = String(JSON.parse(quoted)).replace(/[\r\n]/g, ' ');
    JSON.parse(inner);
    return inner;
  } catch {
    return undefined;
  }
}

function skipSpace(text: string, at: number): number {
  let next = at;
  for (;;) {
    const code = text.charCodeAt(next);
    if (code !== 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) return next;
    next += 1;
  }
}

/** Position after the closing quote of the string that opens at `at`. */
function stringEnd(text: string, at: number): number {
  for (let next = at + 1; next < text.length; next += 1) {
    const code = text.charCodeAt(next);
    if (code === 0x5c) next += 1;
    else if (code === 0x22) return next + 1;
  }
  return text.length;
}

function endOfValue(text: string, at: number): number {
  let depth = 0;
  let next = at;
  while (next < text.length) {
    const character = text[next]!;
    if (character === '"') {
      next = stringEnd(text, next);
      if (depth === 0) return next;
      continue;
    }
    if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') {
      if (depth === 0) return next;
      depth -= 1;
      if (depth === 0) return next + 1;
    } else if (depth === 0 && (character === ',' || character <= ' ')) return next;
    next += 1;
  }
  return next;
}
