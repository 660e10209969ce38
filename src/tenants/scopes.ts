/** Whether a key may do what a request needs. */
import type { Need, Principal, Scope } from './port.ts';

/** Needs that concern one stream, for which a scope of that stream is enough. */
const OF_STREAM: readonly Need[] = ['events:write', 'stats:read'];

/**
 * `stream` is the one that the request is about; undefined when it is about several or none.
 *
 * @example
 * allows({ scopes: ['stats:read:clicks'], isOperator: false }, 'stats:read', 'clicks'); // true
 */
export function allows(
  { scopes, isOperator }: Pick<Principal, 'scopes' | 'isOperator'>,
  need: Need,
  stream?: string,
): boolean {
  if (isOperator || need === 'any') return true;
  if (need === 'operator') return false;
  const has = (scope: string): boolean => scopes.includes(scope as Scope);
  if (has('admin') || has(need)) return true;
  return stream !== undefined && OF_STREAM.includes(need) && has(`${need}:${stream}`);
}

/**
 * The conditions under which the key sees rows of a stream, in addition to what is asked; undefined when it sees none
 * of them at all, because its row filters do not name the stream.
 */
export function rowFilterOf(
  { rowFilters }: Pick<Principal, 'rowFilters'>,
  stream: string,
): readonly string[] | undefined {
  if (Object.keys(rowFilters).length === 0) return [];
  return Object.hasOwn(rowFilters, stream) ? rowFilters[stream] : undefined;
}

/** Whether the key sees only a part of the rows: what cannot be filtered is then not shown to it. */
export const isFiltered = ({ rowFilters }: Pick<Principal, 'rowFilters'>): boolean =>
  Object.keys(rowFilters).length > 0;
