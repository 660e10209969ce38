/** What names look like, and which name somebody probably meant. */

/** Names of streams, rollups and tenants. */
export const NAME = /^[a-z][a-z0-9_]{0,62}$/;
export const NAME_RULE =
  'must start with a lower-case letter and hold at most 63 lower-case letters, digits and _';

/** Names of fields and measures. A leading underscore is kept for the columns that every event has. */
export const FIELD_NAME = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;
export const FIELD_NAME_RULE =
  'must start with a letter and hold at most 63 letters, digits and _ (a leading _ is reserved)';

/** The candidate that differs from `word` by the fewest edits, if that is few enough to be a slip. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > 64) return undefined;
  const wanted = word.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.min(3, Math.max(1, Math.ceil(word.length / 2))) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** `; did you mean "eventId"?`, or the whole choice when it is short, or nothing. */
export function hint(word: string, candidates: readonly string[]): string {
  const best = nearest(word, candidates);
  if (best !== undefined) return `; did you mean "${best}"?`;
  return candidates.length > 0 && candidates.length <= 16 ? `; use one of ${candidates.join(', ')}` : '';
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
