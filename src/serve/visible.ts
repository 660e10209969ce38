/** What of a tenant's things a key may see, beyond whether it may ask at all. */
import type { RowFilter } from '../stats/port.ts';
import { allows, isFiltered, type Principal, rowFilterOf } from '../tenants/index.ts';

/** Whether there is such a stream for the key: one that it neither reads nor writes nor defines is not there. */
export function seesStream(principal: Principal, stream: string): boolean {
  if (allows(principal, 'events:write', stream) || allows(principal, 'definitions:write')) return true;
  return readsRows(principal, stream);
}

/** Whether numbers about all of the stream's rows may be told. */
export const seesCounts = (principal: Principal, stream: string): boolean =>
  !isFiltered(principal) && readsRows(principal, stream);

function readsRows(principal: Principal, stream: string): boolean {
  const reads = allows(principal, 'stats:read', stream) || allows(principal, 'sql:read');
  return reads && rowFilterOf(principal, stream) !== undefined;
}

/** The filter of the key's rows, to be added to a request for them; nothing when it sees all of them. */
export function filterFor(principal: Principal, stream: string): { readonly rowFilter?: RowFilter } {
  if (!isFiltered(principal)) return {};
  const rowFilter = rowFilterOf(principal, stream);
  // Whoever asks was let through only because there is one; without it nothing may be shown.
  if (rowFilter === undefined || rowFilter.length === 0) throw new Error('a filtered key without a filter');
  return { rowFilter };
}
