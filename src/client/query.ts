import type { EventsQuestion, StatsQuestion } from './types.ts';

const many = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;

/**
 * The query string, `?` included; empty when nothing is given. A list is repeated, a date is RFC 3339; signals are not
 * for the server.
 */
export function queryText(values: object): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value instanceof AbortSignal) continue;
    if (Array.isArray(value)) for (const one of value) query.append(name, String(one));
    else query.set(name, value instanceof Date ? value.toISOString() : String(value));
  }
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

/** The query string of a question about numbers or events. */
export function queryOf({ maxAge, by, ...question }: StatsQuestion & EventsQuestion): string {
  const dimensions = many(by);
  return queryText({
    ...question,
    by: dimensions.length > 0 ? dimensions.join(',') : undefined,
    max_age: maxAge,
  });
}

/** A path whose parts are names; each is escaped. */
export function pathOf(...parts: readonly string[]): string {
  return `/v1/${parts.map(encodeURIComponent).join('/')}`;
}
