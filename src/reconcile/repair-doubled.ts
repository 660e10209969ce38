/** Offsets that are there more than once, and rows that the log knows nothing of. */
import { copyPartition, makeShadow } from '../store/index.ts';
import { findStrays, isStray, miscounted } from './offsets.ts';
import { BOUNDED, type BrokenParts, rangesOf } from './parts.ts';
import { offsetsInWords, type Repair } from './repair.ts';
import { RAW_TABLES, type RawTable, type Scope } from './scope.ts';

const COPIED_OFFSETS = 250_000;

export async function repairStrays(repair: Repair, scope: Scope, broken: BrokenParts): Promise<void> {
  const { log, ingest, engine } = repair.parts;
  await repair.exclusively(async () => {
    const ends = scope.partitions.map(({ key }) => Math.max(log.state(key).end, ingest.state(key).applied));
    for (const { table, rows, partition } of await findStrays(engine, scope, broken, ends)) {
      await repair.deleteWhere(scope.raw[table], `_partition = ${partition} AND ${isStray(ends)}`);
      await repair.note(
        'stray',
        table,
        true,
        `${rows} rows of partition ${partition} that no log knows were deleted`,
      );
    }
  });
}

/**
 * A record in two tables was decided twice: its rows go, and it is decided again from the log. Several rows in one table
 * are made one, in a shadow that takes the table's place.
 */
export async function repairDoubled(repair: Repair, scope: Scope, broken: BrokenParts): Promise<void> {
  await removeAgain(repair, scope);
  const { engine } = repair.parts;
  const days = new Map<RawTable, Set<number>>();
  for await (const { partition, found } of miscounted(engine, scope, broken, repair.pulse)) {
    const { key, logStart } = partition;
    const isElsewhereToo = (one: (typeof found)[number]) =>
      RAW_TABLES.filter((name) => one[name] > 0).length > 1;
    const split = found.filter(isElsewhereToo).map((one) => one.offset);
    const again = split.filter((offset) => offset >= logStart);
    const stuck = split.filter((offset) => offset < logStart);
    if (again.length > 0) {
      await repair.touch(key.partition, again[0]!, again.at(-1)! + 1);
      await repair.save({ ...repair.state, again: { partition: key.partition, ranges: rangesOf(again) } });
      await removeAgain(repair, scope);
      const words = `${again.length} offsets of partition ${key.partition} that were in two tables (${offsetsInWords(rangesOf(again))}) were decided again from the log`;
      await repair.note('doubled', 'events, quarantine and discarded', true, words);
    }
    if (stuck.length > 0) {
      const words = `the offsets ${offsetsInWords(rangesOf(stuck))} of partition ${key.partition} are in two tables, and the log has forgotten them (it begins at ${logStart}): nobody can tell which row is right; delete one by hand`;
      await repair.note('doubled', 'events, quarantine and discarded', false, words);
    }
    for (const name of RAW_TABLES) {
      const doubled = found.filter((one) => one[name] > 1 && !isElsewhereToo(one));
      if (doubled.length === 0) continue;
      const [first, last] = [doubled[0]!.offset, doubled.at(-1)!.offset];
      await repair.touch(key.partition, first, last + 1);
      const rows = await engine.rows<{ day: number }>(
        {
          text: `SELECT DISTINCT day FROM (SELECT toYYYYMMDD(_received) AS day, _offset, count() AS n FROM ${scope.raw[name]} WHERE _partition = ${key.partition} AND _offset >= ${first} AND _offset <= ${last} GROUP BY day, _offset HAVING n > 1)`,
        },
        BOUNDED,
      );
      const set = days.get(name) ?? new Set();
      for (const { day } of rows) set.add(Number(day));
      days.set(name, set);
    }
  }
  for (const [name, touched] of days) {
    if (touched.size === 0) continue;
    repair.pulse.step(`making the rows of ${touched.size} days of ${name} single`);
    const removed = await repair.exclusively(() => rebuild(repair, scope.raw[name], touched));
    await repair.note(
      'doubled',
      name,
      true,
      `${removed} rows too many were left out of ${touched.size} days of arrival`,
    );
  }
}

/** Rows of the offsets that were written down go from all tables. May be repeated. */
export async function removeAgain(repair: Repair, scope: Scope): Promise<void> {
  const { again } = repair.state;
  if (!again) return;
  const offsets = again.ranges.flatMap(({ from, to }) =>
    Array.from({ length: to - from }, (_, index) => from + index),
  );
  await repair.exclusively(async () => {
    for (const name of RAW_TABLES) await repair.deleteOffsets(scope.raw[name], again.partition, offsets);
  });
  await repair.save({ ...repair.state, again: null });
}

/** A shadow in which each offset of those days is there once; all other days are linked, not copied. */
async function rebuild(repair: Repair, live: string, touched: ReadonlySet<number>): Promise<number> {
  const { engine } = repair.parts;
  const shadow = await makeShadow(engine, live, repair.run.id);
  const days = await engine.rows<{ day: number }>({
    text: `SELECT DISTINCT toYYYYMMDD(_received) AS day FROM ${live} ORDER BY day`,
  });
  let removed = 0;
  for (const day of days.map((one) => Number(one.day))) {
    if (!touched.has(day)) await copyPartition(engine, live, shadow, day);
    else removed += await copySingle(repair, live, shadow, day);
  }
  await repair.swapIn(live, shadow);
  return removed;
}

async function copySingle(repair: Repair, live: string, shadow: string, day: number): Promise<number> {
  const { engine } = repair.parts;
  const ofDay = `toYYYYMMDD(_received) = ${Number(day)}`;
  const groups = await engine.rows<{ partition: number; g: string; n: string; single: string }>(
    {
      text: `SELECT _partition AS partition, intDiv(_offset, ${COPIED_OFFSETS}) AS g, count() AS n, uniqExact(_offset) AS single FROM ${live} WHERE ${ofDay} GROUP BY partition, g ORDER BY partition, g`,
    },
    BOUNDED,
  );
  let removed = 0;
  for (const { partition, g, n, single } of groups) {
    repair.pulse.throwIfEnding();
    const from = Number(g) * COPIED_OFFSETS;
    const rows = `${ofDay} AND _partition = ${Number(partition)} AND _offset >= ${from} AND _offset < ${from + COPIED_OFFSETS}`;
    await engine.execute({
      text: `INSERT INTO ${shadow} SELECT * FROM ${live} WHERE ${rows} LIMIT 1 BY _partition, _offset`,
    });
    const copied = await repair.countOf(shadow, rows);
    if (copied !== Number(single))
      throw new Error(`${copied} instead of ${single} rows were copied from ${live}`);
    removed += Number(n) - Number(single);
  }
  return removed;
}
