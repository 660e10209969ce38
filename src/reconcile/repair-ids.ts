/** Of events with the same id the one that arrived first stays; the others go to what was discarded, as duplicates. */

import { DAY_SECONDS, firstComparable } from './buckets.ts';
import { idSlices, idsTwice, withIds } from './ids.ts';
import { BOUNDED, type BrokenParts } from './parts.ts';
import type { Repair } from './repair.ts';
import type { Scope } from './scope.ts';

const MOVED_AT_ONCE = 10_000;

interface Later {
  readonly day: number;
  readonly partition: number;
  readonly offset: number;
}

export async function repairIds(repair: Repair, scope: Scope, broken: BrokenParts): Promise<void> {
  if (scope.stream.definition.dedupeWithinMs === 0) return;
  const source = withIds(scope, broken);
  let moved = 0;
  for (const slice of await idSlices(repair.parts.engine, source)) {
    for (;;) {
      repair.pulse.throwIfEnding();
      const some = await laterOnes(repair, scope, source, slice);
      if (some.length === 0) break;
      repair.pulse.step(`moving duplicates: ${moved}`);
      for (const { partition, offset } of extremes(some)) await repair.touch(partition, offset, offset + 1);
      await repair.exclusively(() => move(repair, scope, some));
      moved += some.length;
    }
  }
  if (moved > 0) {
    const words = `${moved} events whose id was stored before were moved to what was discarded, as duplicates; of each id the one that arrived first stays`;
    await repair.note('id-twice', 'events', true, words);
  }
  await tellStuck(repair, scope, source);
}

/** SQL: does the event lie in buckets that can be computed again without it? */
function isMovable(scope: Scope): string {
  const { completeSinceMs } = scope;
  if (completeSinceMs === undefined) return 'true';
  return `toUnixTimestamp64Milli(_time) >= ${firstComparable(DAY_SECONDS, completeSinceMs) * 1_000}`;
}

const laterThanFirst = (source: string, slice: string): string =>
  `SELECT toYYYYMMDD(_received) AS day, _partition, _offset, _time FROM ${source} AND _id_hash IN (${idsTwice(source, slice)}) QUALIFY row_number() OVER (PARTITION BY _id_hash ORDER BY _received, _partition, _offset) > 1`;

async function laterOnes(
  repair: Repair,
  scope: Scope,
  source: string,
  slice: string,
): Promise<readonly Later[]> {
  const rows = await repair.parts.engine.rows<{ day: number; p: number; o: string }>(
    {
      text: `SELECT day, _partition AS p, _offset AS o FROM (${laterThanFirst(source, slice)}) WHERE ${isMovable(scope)} ORDER BY p, o LIMIT ${MOVED_AT_ONCE}`,
    },
    BOUNDED,
  );
  return rows.map(({ day, p, o }) => ({ day: Number(day), partition: Number(p), offset: Number(o) }));
}

async function tellStuck(repair: Repair, scope: Scope, source: string): Promise<void> {
  if (scope.completeSinceMs === undefined) return;
  let stuck = 0;
  for (const slice of await idSlices(repair.parts.engine, source))
    stuck += await repair.countOf(`(${laterThanFirst(source, slice)})`, `NOT (${isMovable(scope)})`);
  if (stuck === 0) return;
  const words = `${stuck} events whose id was stored before stay: they lie in buckets that count events that retention has dropped, so those could not be computed again`;
  await repair.note('id-twice', 'events', false, words);
}

/** First into the one table, with proof, then out of the other: in between the event is in both, never in none. */
async function move(repair: Repair, scope: Scope, some: readonly Later[]): Promise<void> {
  const { engine } = repair.parts;
  const { events, discarded } = scope.raw;
  for (const group of groupsOf(some, ({ day, partition }) => `${day} ${partition}`)) {
    const { day, partition } = group[0]!;
    const these = `toYYYYMMDD(_received) = ${day} AND _partition = ${partition} AND _offset IN (${group.map(({ offset }) => offset).join(', ')})`;
    await engine.execute({
      text: `INSERT INTO ${discarded} (_partition, _offset, _received, _time, _id, _id_hash, why, line)
SELECT _partition, _offset, _received, _time, _id, _id_hash, 'duplicate', '' FROM ${events} WHERE ${these} AND _offset NOT IN (SELECT _offset FROM ${discarded} WHERE ${these})`,
    });
    const there = await repair.countOf(discarded, these);
    if (there !== group.length)
      throw new Error(`${there} of ${group.length} duplicates came to ${discarded}`);
  }
  for (const group of groupsOf(some, ({ partition }) => `${partition}`)) {
    const offsets = group.map(({ offset }) => offset);
    await repair.deleteOffsets(events, group[0]!.partition, offsets);
  }
}

function groupsOf(all: readonly Later[], keyOf: (one: Later) => string): readonly (readonly Later[])[] {
  const groups = new Map<string, Later[]>();
  for (const one of all) {
    const group = groups.get(keyOf(one));
    if (group) group.push(one);
    else groups.set(keyOf(one), [one]);
  }
  return [...groups.values()];
}

/** They come ordered by partition and offset: the first and the last of each partition. */
const extremes = (all: readonly Later[]): readonly Later[] =>
  groupsOf(all, ({ partition }) => `${partition}`).flatMap((group) => [group[0]!, group.at(-1)!]);
