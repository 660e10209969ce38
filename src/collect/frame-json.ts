/** `application/json`: one object, or an array of them. Each event's bytes are kept as they were sent. */
import { isUtf8 } from 'node:buffer';
import { MillraceError } from '../base/errors.ts';
import { CHECKED_BYTES_MAX, type Framed, type FrameRules, NEWLINE } from './framed.ts';
import { LineWriter } from './line-writer.ts';
import { longerThan, Rejections } from './rejections.ts';
import { depthOf, eachElement, onOneLine } from './scan-json.ts';
import { checkEvent } from './validate.ts';

/** The engine's parser gives up at 1 024 levels. */
export const DEPTH_MAX = 1_000;
export const TOO_DEEP = `nests deeper than ${DEPTH_MAX} levels`;

/** The value of a JSON body. Fails with `bad-body`. */
export function parseJsonBody(body: Buffer): unknown {
  if (!isUtf8(body)) throw new MillraceError('bad-body', 'The body is not valid UTF-8.');
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    const why = error instanceof RangeError ? 'it nests too deeply or is too long' : (error as Error).message;
    throw new MillraceError(
      'bad-body',
      `The body is not valid JSON: ${why}. One object per line is application/x-ndjson.`,
      { cause: error },
    );
  }
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function frameJson(body: Buffer, rules: FrameRules): Framed {
  const value = parseJsonBody(body);
  const flat = onOneLine(body);
  if (Array.isArray(value)) return frameArray(value, flat, rules);
  if (!isObject(value)) {
    throw new MillraceError('bad-body', 'The body is JSON, but neither an object nor an array of objects.');
  }
  const rejections = new Rejections();
  const fits = admit(
    value,
    flat,
    flat.length > 2 * DEPTH_MAX ? depthOf(flat) : 0,
    0,
    rules,
    rejections,
    body.length,
  );
  return {
    records: fits
      ? { chunks: [flat, NEWLINE], count: 1, bytes: flat.length + 1 }
      : { chunks: [], count: 0, bytes: 0 },
    rejections,
  };
}

function frameArray(values: readonly unknown[], flat: Buffer, rules: FrameRules): Framed {
  rules.grow(flat.length);
  const rejections = new Rejections();
  const lines = new LineWriter();
  let index = 0;
  eachElement(flat, 0, (start, end, depth) => {
    if (admit(values[index], flat.subarray(start, end), depth, index, rules, rejections, flat.length)) {
      lines.add(flat, start, end);
    }
    index += 1;
  });
  return { records: lines.finish(), rejections };
}

/** Whether the event is taken; what is wrong with it goes to `rejections`. */
export function admit(
  event: unknown,
  line: Buffer,
  depth: number,
  index: number,
  rules: Pick<FrameRules, 'stream' | 'eventBytesMax'>,
  rejections: Rejections,
  bodyBytes: number,
): boolean {
  if (!isObject(event)) rejections.malform(index, 'is not a JSON object');
  else if (line.length > rules.eventBytesMax) rejections.malform(index, longerThan(rules.eventBytesMax));
  else if (depth > DEPTH_MAX) rejections.malform(index, TOO_DEEP);
  else if (bodyBytes > CHECKED_BYTES_MAX) return true;
  else {
    const mistakes = checkEvent(rules.stream, event, line);
    if (mistakes.length === 0) return true;
    rejections.unfit(index, mistakes);
  }
  return false;
}
