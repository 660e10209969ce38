/** Decides what leaves memory when remembered ids have no room: facts in, decision out. */

/** What one index holds in memory, in bytes. */
export interface HeldBytes {
  /** Tables of buckets that are no longer written to, and that of the newest bucket. */
  readonly oldTables: number;
  readonly newestTable: number;
  /** Filters of the ids on disk. */
  readonly filters: number;
}

export type Relief = 'spill-old' | 'spill-newest' | 'drop-filter';

/** Filters may take so much of the budget; the rest is for the ids that come, which else would be spilled in crumbs. */
export const FILTER_SHARE = 3 / 4;

/**
 * The next thing to free, and of which index; undefined when nothing is left that could be freed.
 *
 * Old buckets first, as a producer repeats what it sent last; of the indexes the one with the most, so that a busy
 * stream does not push the others out. Filters go last, or when they leave no room for anything else.
 */
export function nextRelief(
  held: readonly HeldBytes[],
  bytesMax: number,
): { readonly index: number; readonly relief: Relief } | undefined {
  const filters = held.reduce((sum, one) => sum + one.filters, 0);
  const most = (what: keyof HeldBytes): number | undefined => {
    let found: number | undefined;
    held.forEach((one, i) => {
      if (one[what] > (found === undefined ? 0 : held[found]![what])) found = i;
    });
    return found;
  };
  const ways: readonly (readonly [keyof HeldBytes, Relief])[] =
    filters > bytesMax * FILTER_SHARE
      ? [['filters', 'drop-filter']]
      : [
          ['oldTables', 'spill-old'],
          ['newestTable', 'spill-newest'],
          ['filters', 'drop-filter'],
        ];
  for (const [what, relief] of ways) {
    const index = most(what);
    if (index !== undefined) return { index, relief };
  }
  return undefined;
}
