/**
 * Finds the parts of a JSON text without making objects of them, so that every byte of a part survives: a
 * 64-bit integer keeps its digits. The text must have passed `JSON.parse`: nothing is checked here.
 */

/** `[start, end)` in the bytes that were scanned. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

const isOpen = (byte: number): boolean => byte === 0x7b || byte === 0x5b;
const isClose = (byte: number): boolean => byte === 0x7d || byte === 0x5d;
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** First byte at or after `at` that is no whitespace. */
export function skipSpace(bytes: Uint8Array, at: number, end = bytes.length): number {
  let next = at;
  while (next < end && isSpace(bytes[next]!)) next += 1;
  return next;
}

/** The byte after the string that begins with the quote at `at`. */
function stringEnd(bytes: Uint8Array, at: number): number {
  let next = at + 1;
  for (let byte = bytes[next]; byte !== QUOTE; byte = bytes[next]) next += byte === BACKSLASH ? 2 : 1;
  return next + 1;
}

/** Where the value that begins at `at` ends, and how deeply it nests (0: no array and no object). */
function valueEnd(bytes: Uint8Array, at: number): { end: number; depth: number } {
  let depth = 0;
  let deepest = 0;
  for (let next = at; next < bytes.length; ) {
    const byte = bytes[next]!;
    if (byte === QUOTE) {
      next = stringEnd(bytes, next);
      if (depth === 0) return { end: next, depth: 0 };
    } else if (isOpen(byte)) {
      depth += 1;
      if (depth > deepest) deepest = depth;
      next += 1;
    } else if (isClose(byte)) {
      if (depth === 0) return { end: next, depth: 0 };
      depth -= 1;
      next += 1;
      if (depth === 0) return { end: next, depth: deepest };
    } else if (depth === 0 && (byte === COMMA || isSpace(byte))) {
      return { end: next, depth: 0 };
    } else {
      next += 1;
    }
  }
  return { end: bytes.length, depth: deepest };
}

/** How deeply the value at `at` nests: 2 for `{"a":[1]}`. */
export const depthOf = (bytes: Uint8Array, at = 0): number => valueEnd(bytes, skipSpace(bytes, at)).depth;

/** Calls back with each element of the array that begins at `at`. */
export function eachElement(
  bytes: Uint8Array,
  at: number,
  visit: (start: number, end: number, depth: number) => void,
): void {
  let next = skipSpace(bytes, skipSpace(bytes, at) + 1);
  while (next < bytes.length && !isClose(bytes[next]!)) {
    const { end, depth } = valueEnd(bytes, next);
    visit(next, end, depth);
    next = skipSpace(bytes, end);
    if (bytes[next] === COMMA) next = skipSpace(bytes, next + 1);
  }
}

/** The value of a member of the object that begins at `at`; the last one where a name stands twice. */
export function memberSpan(bytes: Buffer, at: number, name: string): Span | undefined {
  let found: Span | undefined;
  let next = skipSpace(bytes, skipSpace(bytes, at) + 1);
  while (next < bytes.length && bytes[next] === QUOTE) {
    const nameEnd = stringEnd(bytes, next);
    const same = JSON.parse(bytes.toString('utf8', next, nameEnd)) === name;
    next = skipSpace(bytes, nameEnd);
    if (bytes[next] === COLON) next = skipSpace(bytes, next + 1);
    const { end } = valueEnd(bytes, next);
    if (same) found = { start: next, end };
    next = skipSpace(bytes, end);
    if (bytes[next] === COMMA) next = skipSpace(bytes, next + 1);
  }
  return found;
}

/** The text of the value at a path of member names and positions: `['ids', 2]`. */
export function textAt(bytes: Buffer, path: readonly (string | number)[]): string | undefined {
  let span: Span = { start: 0, end: bytes.length };
  for (const step of path) {
    let found: Span | undefined;
    if (typeof step === 'string') {
      found = memberSpan(bytes, span.start, step);
    } else {
      let position = 0;
      eachElement(bytes, span.start, (start, end) => {
        if (position === step) found = { start, end };
        position += 1;
      });
    }
    if (found === undefined) return undefined;
    span = found;
  }
  return bytes.toString('utf8', span.start, span.end).trim();
}

/** The same JSON on one line. A raw newline in valid JSON is whitespace, so a space may stand for it. */
export function onOneLine(json: Buffer): Buffer {
  let at = json.indexOf(10);
  if (at < 0) return json;
  const copy = Buffer.from(json);
  for (; at >= 0; at = copy.indexOf(10, at + 1)) copy[at] = 0x20;
  return copy;
}
