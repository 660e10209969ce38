/** No key may make, or get hold of, one that allows more than it does itself. */
import type { Issue } from '../base/errors.ts';
import type { KeyDocument } from './key-document.ts';
import type { KeyLimits, Principal } from './port.ts';
import { covers, isFiltered } from './scopes.ts';

/** Who hands out a key: what he may do himself, and until when. */
export interface Granter extends Pick<Principal, 'scopes' | 'isOperator' | 'rowFilters' | 'limits'> {
  readonly expiresAtMs: number | null;
}

/** Everything that the document would allow beyond what the granter may do; empty: it may be handed out. */
export function beyond(granter: Granter, document: KeyDocument): readonly Issue[] {
  if (granter.isOperator) return [];
  const issues: Issue[] = [];
  document.scopes.forEach((scope, index) => {
    if (!covers(granter, scope))
      issues.push({ path: `scopes.${index}`, message: `your key has not the scope ${scope} itself` });
  });
  if (isFiltered(granter)) {
    issues.push({ path: 'rowFilters', message: 'your key sees only some rows; it cannot make keys' });
  }
  for (const [name, most] of Object.entries(granter.limits) as [keyof KeyLimits, number][]) {
    if ((document.limits[name] ?? Number.POSITIVE_INFINITY) > most)
      issues.push({ path: `limits.${name}`, message: `your own key has ${most}; give at most that` });
  }
  const { expiresAtMs } = granter;
  if (expiresAtMs !== null && (document.expiresAtMs ?? Number.POSITIVE_INFINITY) > expiresAtMs) {
    const end = new Date(expiresAtMs).toISOString();
    issues.push({ path: 'expires', message: `your own key ends at ${end}; give that or earlier` });
  }
  return issues;
}
