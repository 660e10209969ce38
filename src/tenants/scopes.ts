/** Whether a key may do what a request needs, and whether one key's rights lie within another's. */
import { NAME } from '../define/model.ts';
import type { Need, Principal, Scope } from './port.ts';

/** Needs that concern one stream, for which a scope of that stream is enough. */
export const OF_STREAM = ['events:write', 'stats:read'] as const satisfies readonly Need[];

export const WHOLE_SCOPES = ['events:write', 'stats:read', 'sql:read', 'definitions:write', 'admin'] as const;

const isOfStream = (need: string): boolean => (OF_STREAM as readonly string[]).includes(need);

/** `stats:read:clicks` is one, `sql:read:clicks` is not. */
export function isScope(text: string): text is Scope {
  if ((WHOLE_SCOPES as readonly string[]).includes(text)) return true;
  const { need, stream } = partsOf(text);
  return stream !== undefined && isOfStream(need) && NAME.test(stream);
}

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
  return stream !== undefined && isOfStream(need) && has(`${need}:${stream}`);
}

/** Whether whoever has `scopes` may hand out `scope`: it allows nothing that they do not allow already. */
export function covers(holder: Pick<Principal, 'scopes' | 'isOperator'>, scope: Scope): boolean {
  const { need, stream } = partsOf(scope);
  return allows(holder, need as Need, stream);
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

/** Of `stats:read:clicks`: `stats:read` and `clicks`. Names hold no colon. */
function partsOf(scope: string): { readonly need: string; readonly stream: string | undefined } {
  const [first, second, stream] = scope.split(':', 3);
  if (stream === undefined || scope.split(':').length > 3) return { need: scope, stream: undefined };
  return { need: `${first}:${second}`, stream };
}
