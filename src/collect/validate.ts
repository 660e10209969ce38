/**
 * What the door says of one event, so that its sender learns of a mistake at once. Ingest is the authority: it
 * classifies every logged line by the same rules, in the engine.
 *
 *   type        accepted                                                       refused
 *   any         optional: absent or null                                       required: absent or null
 *   bool        true, false; as text "true", "false"                           1, 0, other texts
 *   int32       whole numbers in range, as number or as text of digits         1.7, out of range
 *   int64, uint64   the same                                                   the same
 *   float64     finite numbers, as number or as text                           "NaN", "Infinity", 1e400
 *   decimal     as number or as text without exponent; at most                 more digits on either side of the
 *               precision - scale digits before the point, scale after it      point (zeros at the ends do not count)
 *   string      texts up to maxLength code points                              numbers, objects
 *   enum        one of the texts                                               any other
 *   timestamp   epoch ms, or YYYY-MM-DD[T| ]hh:mm[:ss[.f]][Z|±hh:mm], or a     days that do not exist, years before
 *               plain date; no zone means UTC                                  1900 or after 2299, 0 <= n < 1e10 (seconds)
 *   uuid        hexadecimal, with or without hyphens                           others
 *   ip          IPv4 or IPv6                                                   others
 *   json        anything but null                                              -
 *   array       an array of accepted values                                    other values; null inside
 *   event id    not empty                                                      ""
 *   _id         where the stream has no eventId: text of 1-256 characters      others (null counts as absent)
 *
 * A field that was renamed may come under an earlier name; the first of its names that is there and not null counts.
 * Retired fields may hold anything. Fields that the stream does not declare are welcome. A number that is written as an integer beyond 64 bits, or
 * that no double can hold, is refused in any declared field: the engine cannot read the line.
 */
import { isIP } from 'node:net';
import { type FieldType, namesOf, type StreamDefinition } from '../define/model.ts';
import { textAt } from './scan-json.ts';
import { timeMistake } from './validate-time.ts';

export interface Mistake {
  readonly field: string;
  readonly reason: string;
}

const SENDERS_ID_LENGTH_MAX = 256;
const NONE: readonly Mistake[] = [];

/** Longer texts are no numbers: the patterns below may look at each byte more than once. */
const NUMBER_LENGTH_MAX = 400;
const INTEGER = /^[+-]?\d{1,40}$/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const DECIMAL = /^[+-]?0*(\d*)(?:\.(\d*?)0*)?$/;
const UUID = /^(?:[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}|[\da-f]{32})$/i;

const RANGES = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n, 'must be a whole number of 32 bits'],
  int64: [-(2n ** 63n), 2n ** 63n - 1n, 'must be a whole number of 64 bits'],
  uint64: [0n, 2n ** 64n - 1n, 'must be a whole number of 64 bits, not negative'],
} as const;

/**
 * Every mistake of one event, empty when it fits. `line` is the event's JSON: only there do integers beyond
 * 2^53 have their digits.
 *
 * @example
 * checkEvent(detections, { detection_oid: 'x' }); // [{ field: 'detection_oid', reason: 'must be a whole number …' }, …]
 */
export function checkEvent(
  stream: StreamDefinition,
  event: Readonly<Record<string, unknown>>,
  line?: Buffer,
): readonly Mistake[] {
  let mistakes: Mistake[] | undefined;
  const mistaken = (field: string, reason: string) => {
    mistakes ??= [];
    mistakes.push({ field, reason });
  };
  for (const field of stream.fields) {
    const { name, type, optional } = field;
    if (field.retired) continue;
    const key =
      field.aliases === undefined ? name : (namesOf(field).find((one) => isThere(event, one)) ?? name);
    const value = Object.hasOwn(event, key) ? event[key] : undefined;
    if (value === undefined || value === null) {
      if (!optional) mistaken(name, 'is missing');
      continue;
    }
    const reason = valueMistake(type, value, line, [key]);
    if (reason !== undefined) mistaken(name, reason);
    else if (name === stream.eventId && value === '') mistaken(name, 'is empty, but it identifies the event');
  }
  if (stream.eventId === undefined) {
    const id = event._id;
    if (id !== undefined && id !== null && !isSendersId(id)) {
      mistaken('_id', `must be a text of 1 to ${SENDERS_ID_LENGTH_MAX} characters`);
    }
  }
  return mistakes ?? NONE;
}

const isThere = (event: Readonly<Record<string, unknown>>, name: string): boolean =>
  Object.hasOwn(event, name) && event[name] !== null;

const isSendersId = (id: unknown): boolean =>
  typeof id === 'string' && id !== '' && !longerThan(id, SENDERS_ID_LENGTH_MAX);

function longerThan(text: string, codePointsMax: number): boolean {
  if (text.length <= codePointsMax) return false;
  if (text.length > codePointsMax * 2) return true;
  let count = 0;
  for (const _ of text) count += 1;
  return count > codePointsMax;
}

const isNumberText = (value: unknown): boolean =>
  typeof value === 'string' &&
  value.length <= NUMBER_LENGTH_MAX &&
  NUMBER.test(value) &&
  Number.isFinite(Number(value));

type Path = readonly (string | number)[];

function valueMistake(
  type: FieldType,
  value: unknown,
  line: Buffer | undefined,
  path: Path,
): string | undefined {
  if (typeof value === 'number' && Math.abs(value) >= 2 ** 63 && unreadable(value, line, path)) {
    return 'is a number that no type can keep; send it as a text';
  }
  switch (type.kind) {
    case 'bool':
      return typeof value === 'boolean' || value === 'true' || value === 'false'
        ? undefined
        : 'must be true or false';
    case 'int32':
    case 'int64':
    case 'uint64':
      return integerMistake(type.kind, value, line, path);
    case 'float64':
      return typeof value === 'number' || isNumberText(value) ? undefined : 'must be a finite number';
    case 'decimal':
      return decimalMistake(type, value, line, path);
    case 'string':
      if (typeof value !== 'string') return 'must be a text';
      return type.maxLength !== undefined && longerThan(value, type.maxLength)
        ? `is longer than ${type.maxLength} characters`
        : undefined;
    case 'enum':
      return typeof value === 'string' && type.values.includes(value)
        ? undefined
        : `must be one of ${type.values.join(', ')}`;
    case 'timestamp':
      return timeMistake(value);
    case 'uuid':
      return typeof value === 'string' && UUID.test(value) ? undefined : 'must be a UUID';
    case 'ip':
      return typeof value === 'string' && isIP(value) !== 0 && !value.includes('%')
        ? undefined
        : 'must be an IPv4 or IPv6 address';
    case 'json':
      return undefined;
    case 'array':
      return arrayMistake(type.of, value, line, path);
  }
}

function arrayMistake(
  of: FieldType,
  value: unknown,
  line: Buffer | undefined,
  path: Path,
): string | undefined {
  if (!Array.isArray(value)) return 'must be an array';
  for (const [index, element] of value.entries()) {
    const reason = element === null ? 'must not be null' : valueMistake(of, element, line, [...path, index]);
    if (reason !== undefined) return `element ${index} ${reason}`;
  }
  return undefined;
}

/** The digits as they were sent, where a double may have lost some. */
const exactText = (value: number, line: Buffer | undefined, path: Path): string =>
  (Number.isSafeInteger(value) || line === undefined ? undefined : textAt(line, path)) ?? String(value);

function unreadable(value: number, line: Buffer | undefined, path: Path): boolean {
  if (!Number.isFinite(value)) return true;
  const text = exactText(value, line, path);
  return /^-?\d+$/.test(text) && (BigInt(text) < RANGES.int64[0] || BigInt(text) > RANGES.uint64[1]);
}

function integerMistake(
  kind: keyof typeof RANGES,
  value: unknown,
  line: Buffer | undefined,
  path: Path,
): string | undefined {
  const [least, most, reason] = RANGES[kind];
  if (typeof value === 'number' && !Number.isInteger(value)) return reason;
  if (typeof value !== 'number' && typeof value !== 'string') return reason;
  const text = typeof value === 'number' ? exactText(value, line, path) : value;
  if (!INTEGER.test(text))
    return typeof value === 'number' && inRange(BigInt(value), least, most) ? undefined : reason;
  if (kind === 'uint64' && text.startsWith('-')) return reason;
  return inRange(BigInt(text.replace('+', '')), least, most) ? undefined : reason;
}

const inRange = (value: bigint, least: bigint, most: bigint): boolean => value >= least && value <= most;

function decimalMistake(
  type: { readonly precision: number; readonly scale: number },
  value: unknown,
  line: Buffer | undefined,
  path: Path,
): string | undefined {
  const wholeDigits = type.precision - type.scale;
  const reason = `must be a decimal of at most ${wholeDigits} digits before the point and ${type.scale} after it`;
  if (typeof value !== 'number' && typeof value !== 'string') return reason;
  const text = typeof value === 'number' ? plainText(value, line, path) : value;
  const parts = text.length > NUMBER_LENGTH_MAX ? null : DECIMAL.exec(text);
  if (parts === null || !(wholeDigits === 0 ? /\d/ : /^[+-]?\d/).test(text)) return reason;
  return parts[1]!.length > wholeDigits || (parts[2] ?? '').length > type.scale ? reason : undefined;
}

/** Digits as sent where they are all digits; else as the engine would print the number: 1e-3 is 0.001. */
function plainText(value: number, line: Buffer | undefined, path: Path): string {
  const text = exactText(value, line, path);
  return INTEGER.test(text) ? text : String(value);
}
