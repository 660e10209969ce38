/** The combinations of values that a trigger keeps apart. */
import { parse } from 'lossless-json';

/** By field. Integers that a double cannot hold are text. */
export type Group = Readonly<Record<string, string | number | boolean | null>>;

/** The same for the same values, whether somebody wrote them as text or as numbers. */
export const groupKey = (by: readonly string[], group: Readonly<Record<string, unknown>>): string =>
  JSON.stringify(
    by.map((name) => (group[name] === null || group[name] === undefined ? null : String(group[name]))),
  );

export const groupOf = (by: readonly string[], row: Readonly<Record<string, unknown>>): Group =>
  Object.fromEntries(by.map((name) => [name, (row[name] ?? null) as Group[string]]));

/** For people: `station=7, type=fire`. */
export const labelOf = (group: Group): string =>
  Object.entries(group)
    .map(([name, value]) => `${name}=${value === null ? 'null' : String(value)}`)
    .join(', ');

/** JSON whose integers keep their digits. */
export const parseRows = <Row>(json: string): Row => parse(json, undefined, toNumber) as Row;

function toNumber(text: string): number | string {
  const number = Number(text);
  return Number.isSafeInteger(number) || !/^-?\d+$/.test(text) ? number : text;
}

/** A number of an answer, or null. */
export function numberOf(value: unknown): number | null {
  if (value === null || value === undefined || value === '') return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}
