/** The query of an address, as every route gets it. */
import { parse } from 'node:querystring';

/** Parameters that may stand several times: always a list. */
export const REPEATABLE = ['fn', 'where'] as const;

/** How often each of them may stand there. */
export const REPEATED_MAX = 32;

export function parseQuery(text: string): Record<string, unknown> {
  const query: Record<string, unknown> = { ...parse(text) };
  for (const name of REPEATABLE) {
    if (typeof query[name] === 'string') query[name] = [query[name]];
  }
  return query;
}
