/** Ids that are stored twice, however far apart: looked for in slices of their hashes, so that each fits into memory. */
import type { Engine } from '../store/index.ts';
import { BOUNDED, type BrokenParts, LISTED_MAX, type Pulse, readable } from './parts.ts';
import type { Scope } from './scope.ts';

const IDS_AT_ONCE = 2_000_000;

export interface Place {
  readonly partition: number;
  readonly offset: number;
  readonly receivedMs: number;
}

export interface IdTwice {
  readonly id: string;
  /** The one that arrived first; it stays. */
  readonly first: Place;
  /** The next ones, at most four. */
  readonly later: readonly Place[];
  readonly laterCount: number;
}

export interface IdsTwice {
  /** Events too many. */
  readonly surplus: number;
  readonly listed: readonly IdTwice[];
}

type Hands = Pick<Engine, 'rows'>;

/** SQL: stored events that are applied and carry an id of their own. */
export function withIds(scope: Scope, broken: BrokenParts): string {
  const { events } = scope.raw;
  const cuts = scope.partitions.map(({ applied }) => `toUInt64(${applied})`).join(', ');
  return `${events} WHERE ${readable(broken, events)} AND _id_hash != 0 AND _offset < arrayElement([${cuts}], toUInt32(_partition) + 1)`;
}

/** SQL: hashes that several of those events have. */
export const idsTwice = (source: string, slice: string): string =>
  `SELECT _id_hash FROM ${source} AND ${slice} GROUP BY _id_hash HAVING count() > 1 AND (min(_partition) != max(_partition) OR min(_offset) != max(_offset))`;

/** SQL conditions that cut the hashes into slices. */
export async function idSlices(engine: Hands, source: string): Promise<readonly string[]> {
  const [row] = await engine.rows<{ n: string }>({ text: `SELECT count() AS n FROM ${source}` }, BOUNDED);
  const count = Math.max(1, Math.ceil(Number(row?.n ?? 0) / IDS_AT_ONCE));
  return Array.from({ length: count }, (_, index) =>
    count === 1 ? 'true' : `_id_hash % toUInt64(${count}) = ${index}`,
  );
}

export async function findIdsTwice(
  engine: Hands,
  scope: Scope,
  broken: BrokenParts,
  pulse: Pulse,
): Promise<IdsTwice> {
  if (scope.stream.definition.dedupeWithinMs === 0) return { surplus: 0, listed: [] };
  const source = withIds(scope, broken);
  let surplus = 0;
  const listed: IdTwice[] = [];
  for (const slice of await idSlices(engine, source)) {
    pulse.throwIfEnding();
    const rows = await engine.rows<{
      id: string;
      _more: string;
      places: [string, number, string][];
      total: string;
    }>(
      {
        text: `SELECT *, sum(_more) OVER () AS total FROM (
SELECT _id_hash, any(_id) AS id, uniqExact((_partition, _offset)) - 1 AS _more, arraySlice(arraySort(groupUniqArray((toUnixTimestamp64Milli(_received), _partition, _offset))), 1, 5) AS places
FROM ${source} AND _id_hash IN (${idsTwice(source, slice)}) GROUP BY _id_hash) ORDER BY places LIMIT ${LISTED_MAX}`,
      },
      { ...BOUNDED, signal: pulse.signal },
    );
    surplus += Number(rows[0]?.total ?? 0);
    for (const row of rows) {
      if (listed.length >= LISTED_MAX) break;
      const [first, ...later] = row.places.map(
        ([at, partition, offset]): Place => ({
          ...{ receivedMs: Number(at), partition: Number(partition), offset: Number(offset) },
        }),
      );
      if (first) listed.push({ id: row.id, first, later, laterCount: Number(row._more) });
    }
  }
  return { surplus, listed };
}
