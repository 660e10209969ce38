/** Findings as differences that people read. Pure. */
import type { BrokenPart } from './broken-parts.ts';
import { type Circumstances, whyDoubled, whyIdTwice, whyMissing, whyRollup, whyStray } from './explain.ts';
import type { IdTwice } from './ids.ts';
import type { Strays } from './offsets.ts';
import { LISTED_MAX, type Range } from './parts.ts';
import { DIFFERENCE_KINDS, type Difference, type Unverifiable } from './port.ts';
import type { RollupFinding } from './rollups.ts';
import type { Scope } from './scope.ts';

export interface OffsetFinding extends Range {
  readonly partition: number;
  /** Tables with rows of these offsets; none: they are missing. */
  readonly tables: readonly string[];
  /** Rows of each offset. */
  readonly rows: number;
}

/** By how many events the rollups' finest tiers are ahead of the events, as far as it is listed. */
export function countedMore(rollups: readonly RollupFinding[]): number | undefined {
  const more = rollups.flatMap(({ listed }) => {
    const finest = Math.min(...listed.map(({ tier }) => tier));
    if (!Number.isFinite(finest)) return [];
    return listed
      .filter(({ tier }) => tier === finest)
      .reduce((sum, { expected, found }) => sum + Number(found.events) - Number(expected.events), 0);
  });
  return more.length === 0 ? undefined : Math.max(...more);
}

export const tellPart = ({ part, words }: BrokenPart, where: string): Difference => ({
  ...{ kind: 'unreadable-part', where, expected: 'every part can be read', found: part },
  why: `the files of the part ${part} are damaged: ${words.slice(0, 300)}`,
});

export const tellMissing = (
  { partition, from, to }: OffsetFinding,
  circumstances: Circumstances,
): Difference => ({
  ...{ kind: 'missing', where: 'events, quarantine or discarded', partition, from, to },
  ...{ expected: 'each offset in one table', found: 'in none', why: whyMissing(to - from, circumstances) },
});

export const tellDoubled = ({ partition, from, to, tables, rows }: OffsetFinding): Difference => ({
  ...{ kind: 'doubled', where: tables.join(' and '), partition, from, to },
  ...{ expected: 'one row of each offset', found: `${rows} rows of each`, why: whyDoubled(tables) },
});

export const tellStrays = ({ table, partition, rows, first, last }: Strays): Difference => ({
  ...{ kind: 'stray', where: table, partition, from: first, to: last + 1 },
  ...{ expected: 'no rows', found: `${rows} rows`, why: whyStray() },
});

export const tellRollup = ({ name, listed }: RollupFinding, circumstances: Circumstances): Difference[] =>
  listed.map(({ tier, bucket, dimensions, expected, found }) => ({
    ...{ kind: 'rollup', where: name, tier, bucket: momentOf(bucket), dimensions },
    ...{ expected, found },
    why: whyRollup(Number(expected.events), Number(found.events), name, circumstances),
  }));

/** Whoever writes by hand may write times that no calendar has. */
export const momentOf = (seconds: number): string =>
  Math.abs(seconds) <= 8.64e12 ? new Date(seconds * 1_000).toISOString() : `${seconds} s`;

/** All, or the first of each kind, so that none hides another. */
export function bounded(all: readonly Difference[]): readonly Difference[] {
  if (all.length <= LISTED_MAX) return all;
  const most = Math.floor(LISTED_MAX / DIFFERENCE_KINDS.length);
  return DIFFERENCE_KINDS.flatMap((kind) => all.filter((one) => one.kind === kind).slice(0, most));
}

export function unverifiableOf(scope: Scope, rollups: readonly RollupFinding[]): Unverifiable[] {
  const day = new Date(scope.forgottenBeforeMs).toISOString();
  return [
    ...scope.partitions
      .filter(({ forgotten }) => forgotten > 0)
      .map(({ key, forgotten }) => ({
        ...{ where: 'events, quarantine or discarded', partition: key.partition, from: 0, to: forgotten },
        why: `retention has dropped records that arrived before ${day}; what is left of them is what the ledger has sealed`,
      })),
    ...rollups.flatMap(({ name, unverifiable }) =>
      unverifiable.map(({ tier, buckets }) => ({
        ...{ where: name, tier, buckets },
        why: `these buckets count events of before ${new Date(scope.completeSinceMs ?? 0).toISOString()} that retention has dropped, so they cannot be computed again`,
      })),
    ),
  ];
}

export const tellIdTwice = (
  { id, first, later, laterCount }: IdTwice,
  { horizonMs }: Circumstances,
): Difference => ({
  ...{ kind: 'id-twice', where: 'events', id },
  ...{ partition: later[0]!.partition, from: later[0]!.offset, to: later[0]!.offset + 1 },
  ...{ expected: { stored: 1, first }, found: { stored: 1 + laterCount, later } },
  why: whyIdTwice(later[0]!.receivedMs - first.receivedMs, horizonMs),
});
