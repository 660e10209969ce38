/** JSON that keeps every digit of integers, in both directions. */
import { parse, stringify } from 'lossless-json';

/** Only texts with so many digits in a row can hold an integer that a double cannot. */
const LONG_NUMBER = /\d{16}/;

/** Integers beyond 2^53 become bigint, all other numbers number. */
export function parseJson(text: string): unknown {
  return LONG_NUMBER.test(text) ? parse(text, undefined, toNumber) : JSON.parse(text);
}

function toNumber(text: string): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) || !/^-?\d+$/.test(text) ? number : BigInt(text);
}

/** bigint as digits, Date as RFC 3339. */
export function toJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'null';
  } catch (error) {
    // JSON.stringify knows no bigint; whatever else it refuses (a cycle) stays refused.
    if (!(error instanceof TypeError) || !/bigint/i.test(error.message)) throw error;
    return stringify(value) ?? 'null';
  }
}

/** One event as a JSON object, with an id of ours in front when `id` is given. */
export function eventToJson(event: object, id: string | undefined): string {
  const text = toJson(event);
  if (!text.startsWith('{'))
    throw new TypeError(`an event must be an object; this one is ${text.slice(0, 40)}`);
  if (id === undefined) return text;
  return text === '{}' ? `{"_id":"${id}"}` : `{"_id":"${id}",${text.slice(1)}`;
}
