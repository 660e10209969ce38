/** Parts that cannot be read are set aside: their offsets are missing then, and come again from the log. */
import { findBrokenParts, isPartName, isStillBroken } from './broken-parts.ts';
import { differingSlices, isMissing, miscountedIn } from './offsets.ts';
import type { BrokenParts } from './parts.ts';
import { rangesOf } from './parts.ts';
import { offsetsInWords, type Repair } from './repair.ts';
import { RAW_TABLES, type Scope } from './scope.ts';

/** Gives the parts of raw tables that had to stay. */
export async function repairParts(repair: Repair, scope: Scope): Promise<BrokenParts> {
  const broken = new Map<string, readonly string[]>();
  for (const table of Object.values(scope.raw)) {
    const found = await findBrokenParts(repair.parts.engine, table, repair.pulse);
    if (found.length > 0)
      broken.set(
        table,
        found.map(({ part }) => part),
      );
  }
  if (broken.size === 0) return broken;
  const lost = await lostWithout(repair, scope, broken);
  const names = RAW_TABLES.filter((name) => broken.has(scope.raw[name]));
  if (lost.length > 0) {
    for (const name of names) {
      await repair.note(
        'unreadable-part',
        name,
        false,
        `${(broken.get(scope.raw[name]) ?? []).join(', ')} stays where it is: without it ${lost.join('; ')} could not be made again. Restore the part from a backup, or detach it by hand to give those up.`,
      );
    }
    await repair.save({ ...repair.state, isRawWhole: false });
    return broken;
  }
  for (const name of names) {
    const table = scope.raw[name];
    for (const part of broken.get(table) ?? []) {
      // Not between two batches: a batch may be waiting for just this part to be readable.
      await repair.parts.owner.check();
      if (!isPartName(part) || !(await isStillBroken(repair.parts.engine, table, part))) continue;
      await repair.parts.engine.execute({ text: `ALTER TABLE ${table} DETACH PART '${part}'` });
      await repair.note(
        'unreadable-part',
        name,
        true,
        `the part ${part} was set aside (detached); its records were read from the log again`,
      );
    }
  }
  return new Map();
}

/** Offsets that only those parts may hold, and that the log has forgotten; in words, by log partition. */
async function lostWithout(repair: Repair, scope: Scope, broken: BrokenParts): Promise<readonly string[]> {
  const lost: string[] = [];
  for (const partition of scope.partitions) {
    const { logStart, from, key } = partition;
    const forgotten = { ...partition, cut: Math.min(partition.cut, logStart) };
    if (from >= forgotten.cut) continue;
    const offsets: number[] = [];
    for (const slice of await differingSlices(repair.parts.engine, scope, forgotten, broken, repair.pulse)) {
      const found = await miscountedIn(repair.parts.engine, scope, key.partition, slice, broken);
      for (const one of found) if (isMissing(one) && offsets.length < 100_000) offsets.push(one.offset);
    }
    if (offsets.length > 0)
      lost.push(
        `the offsets ${offsetsInWords(rangesOf(offsets))} of partition ${key.partition}, which the log has forgotten (it begins at ${logStart}),`,
      );
  }
  return lost;
}
