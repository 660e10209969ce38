/**
 * Buckets that differ are computed again from the events, in a shadow of the rollup that is verified and then takes its
 * place: readers see the old numbers or the new ones. Ingest waits meanwhile; few buckets take a moment, a whole rollup
 * about as long as it takes to read its events twice.
 */
import type { Versioned } from '../catalog/port.ts';
import type { RollupDefinition } from '../define/model.ts';
import { makeShadow, markRow, rollupDelta, rollupTable } from '../store/index.ts';
import { findBrokenParts } from './broken-parts.ts';
import {
  type BucketSides,
  type BucketSlice,
  bucketsOf,
  cutDays,
  DAY_SECONDS,
  differingBuckets,
  eventsOf,
} from './buckets.ts';
import { BOUNDED, type BrokenParts, NOTHING_BROKEN } from './parts.ts';
import type { Repair } from './repair.ts';
import { compareRollup, findBuckets, sidesOf } from './rollups.ts';
import type { Scope } from './scope.ts';

/** More than so many are not named one by one: whole days are computed again. */
export const BUCKETS_NAMED_MAX = 10_000;

export async function repairRollups(repair: Repair, scope: Scope, names: readonly string[]): Promise<void> {
  for (const rollup of scope.rollups) {
    const { name } = rollup.definition;
    if (!names.includes(name)) continue;
    repair.pulse.throwIfEnding();
    const live = rollupTable(scope.tenant, name, rollup.version);
    const parts = await findBrokenParts(repair.parts.engine, live, repair.pulse);
    const broken: BrokenParts = new Map(parts.length === 0 ? [] : [[live, parts.map(({ part }) => part)]]);
    repair.pulse.step(`comparing the rollup ${name}`);
    const found = await compareRollup(repair.parts, scope, rollup, broken, repair.pulse);
    if (!found || (found.count === 0 && parts.length === 0)) continue;
    if (!repair.state.isRawWhole) {
      const words = `${found.count} buckets are left as they are: events are lost that cannot be made again, and what the rollup still knows of them would be lost with them`;
      await repair.note('rollup', name, false, words);
      continue;
    }
    if (parts.length > 0 && scope.completeSinceMs !== undefined) {
      const words = `the part ${parts.map(({ part }) => part).join(', ')} cannot be read, and may hold buckets of time whose events retention has dropped: restore it from a backup, or make the rollup anew to give those up`;
      await repair.note('unreadable-part', name, false, words);
      continue;
    }
    repair.pulse.step(`computing ${found.count} buckets of ${name} again`);
    await repair.exclusively(() => renew(repair, scope, rollup, broken, found.slices));
    if (parts.length > 0)
      await repair.note(
        'unreadable-part',
        name,
        true,
        `the rollup was written again without ${parts.map(({ part }) => part).join(', ')}`,
      );
    if (found.count > 0)
      await repair.note('rollup', name, true, `${found.count} buckets were computed again from the events`);
  }
}

async function renew(
  repair: Repair,
  scope: Scope,
  rollup: Versioned<RollupDefinition>,
  broken: BrokenParts,
  slices: readonly BucketSlice[],
): Promise<void> {
  const { engine, ingest } = repair.parts;
  const live = rollupTable(scope.tenant, rollup.definition.name, rollup.version);
  const wrong = sidesOf(scope, rollup, broken);
  const targets = await targetsOf(repair, wrong, slices);
  const shadow = await makeShadow(engine, live, repair.run.id);
  await copyAll(repair, wrong, shadow, broken.size > 0);
  const fresh = sidesOf(scope, rollup, NOTHING_BROKEN, shadow);
  const conditions = targets.map(({ condition }) => condition);
  if (conditions.length > 0) await repair.deleteWhere(shadow, `(${conditions.join(' OR ')})`);
  for (const { slice, condition } of targets) {
    for (const part of partsOf(slice)) {
      repair.pulse.throwIfEnding();
      const delta = rollupDelta(fresh.stream, fresh.rollup, eventsOf(fresh, part));
      await engine.execute({
        text: `INSERT INTO ${shadow} SELECT * FROM (${delta}) WHERE ${bucketsOf(fresh, part)} AND ${condition}`,
      });
    }
  }
  const marks = scope.partitions.map(({ key }) =>
    markRow(fresh.stream, fresh.rollup, key.partition, ingest.state(key).applied),
  );
  await engine.execute({ text: `INSERT INTO ${shadow} ${marks.join(' UNION ALL ')}` });
  for (const slice of slices) {
    const { count } = await findBuckets(engine, fresh, slice, 0);
    if (count > 0) throw new Error(`${count} buckets of ${rollup.definition.name} still differ`);
  }
  await repair.swapIn(live, shadow);
}

/** The days whose buckets are computed again, each with the SQL condition of the buckets. */
async function targetsOf(
  repair: Repair,
  sides: BucketSides,
  slices: readonly BucketSlice[],
): Promise<readonly { readonly slice: BucketSlice; readonly condition: string }[]> {
  const days = new Map<string, BucketSlice[]>();
  for (const slice of slices) {
    const key = `${slice.fromDay} ${slice.toDay}`;
    days.set(key, [...(days.get(key) ?? []), slice]);
  }
  const targets: { slice: BucketSlice; condition: string }[] = [];
  for (const [slice, ...more] of days.values()) {
    const named = new Set<string>();
    for (const one of [slice!, ...more]) {
      if (named.size > BUCKETS_NAMED_MAX) break;
      // Sums of floats are within their tolerance or not; here every one counts.
      const rows = await repair.parts.engine.rows<{ tier: number; bucket: string }>(
        {
          text: `SELECT DISTINCT _tier AS tier, _bucket AS bucket FROM (${differingBuckets(sides, one)}) LIMIT ${BUCKETS_NAMED_MAX + 1}`,
        },
        BOUNDED,
      );
      for (const { tier, bucket } of rows) named.add(`(${Number(tier)}, ${Number(bucket)})`);
    }
    if (named.size === 0) continue;
    const condition =
      named.size > BUCKETS_NAMED_MAX
        ? bucketsOf(sides, slice!)
        : `(_tier, _bucket) IN (${[...named].join(', ')})`;
    targets.push({ slice: slice!, condition });
  }
  return targets;
}

/** Heavy days are inserted in parts. */
const partsOf = (slice: BucketSlice): readonly BucketSlice[] =>
  slice.of === undefined
    ? [slice]
    : Array.from({ length: slice.of }, (_, part): BucketSlice => ({ ...slice, part }));

/** Everything that can be read. Parts that are sound are linked, not copied. */
async function copyAll(
  repair: Repair,
  { rollup, table, readableRows }: BucketSides,
  shadow: string,
  inRows: boolean,
): Promise<void> {
  const { engine } = repair.parts;
  if (!inRows) {
    await engine.execute({ text: `ALTER TABLE ${shadow} REPLACE PARTITION tuple() FROM ${table}` });
    return;
  }
  const insert = (where: string) =>
    engine.execute({
      text: `INSERT INTO ${shadow} SELECT * FROM ${table} WHERE ${readableRows} AND ${where}`,
    });
  await insert('_tier = 0');
  const rows = await engine.rows<{ day: string; n: string }>(
    {
      text: `SELECT toInt64(floor(_bucket / ${DAY_SECONDS})) AS day, count() AS n FROM ${table} WHERE ${readableRows} AND _tier > 0 GROUP BY day ORDER BY day`,
    },
    BOUNDED,
  );
  const days = rows.map(({ day, n }) => ({ day: Number(day), rows: Number(n) }));
  for (const slice of cutDays(days, false, 500_000)) {
    repair.pulse.throwIfEnding();
    await insert(bucketsOf({ rollup, completeSinceMs: undefined }, slice));
  }
}
