/** Applied offsets that are nowhere: read from the log, decided again, and put where they belong. */

import { decideMissing } from './decide-missing.ts';
import { isMissing, miscounted } from './offsets.ts';
import { type BrokenParts, type Range, rangesOf } from './parts.ts';
import { offsetsInWords, type Repair } from './repair.ts';
import { batchAt, openRestage } from './restage.ts';
import type { PartitionScope, Scope } from './scope.ts';

export async function repairMissing(repair: Repair, scope: Scope, broken: BrokenParts): Promise<void> {
  if ([...broken.values()].some((parts) => parts.length > 0)) {
    await repair.note(
      'missing',
      'events, quarantine or discarded',
      false,
      'nothing was stored again: a part that cannot be read may hold it, and would be counted twice when it is restored',
    );
    return;
  }
  const lost = new Map<number, number[]>();
  const restage = await openRestage(repair.parts, repair.run.id);
  let changed = false;
  try {
    for await (const { partition, found } of miscounted(repair.parts.engine, scope, broken, repair.pulse)) {
      const { key, logStart } = partition;
      const missing = found.filter(isMissing).map((one) => one.offset);
      const gone = missing.filter((offset) => offset < logStart);
      if (gone.length > 0)
        lost.set(key.partition, [...(lost.get(key.partition) ?? []), ...gone].slice(0, 1_000_000));
      const wanted = missing.filter((offset) => offset >= logStart);
      if (wanted.length === 0) continue;
      changed = true;
      await restore(repair, scope, restage, partition, wanted);
    }
  } finally {
    await restage.close();
  }
  // What came back is remembered again, before ids that came meanwhile are looked for.
  if (changed) await repair.exclusively(() => forget(repair));
  for (const [partition, offsets] of lost) await tellLost(repair, scope, partition, rangesOf(offsets));
}

const forget = ({ parts, run }: Repair): Promise<void> =>
  parts.ingest.forgetIds(run.tenant, run.stream as never);

async function restore(
  repair: Repair,
  scope: Scope,
  restage: Awaited<ReturnType<typeof openRestage>>,
  { key }: PartitionScope,
  wanted: readonly number[],
): Promise<void> {
  let at = 0;
  const sum = { stored: 0, duplicates: 0, quarantined: 0, dropped: 0 };
  while (at < wanted.length) {
    repair.pulse.throwIfEnding();
    repair.pulse.step(`storing what is missing: partition ${key.partition}, offset ${wanted[at]}`);
    await repair.touch(key.partition, wanted[at]!, wanted.at(-1)! + 1);
    const some = await repair.exclusively(async () => {
      const batch = await batchAt(repair.parts, key, wanted[at]!);
      const end = wanted.findIndex((offset, index) => index >= at && offset >= batch.to);
      const these = wanted.slice(at, end < 0 ? undefined : end);
      const counts = await decideMissing(repair.parts, restage, scope, batch, these);
      return { counts, records: these.length };
    });
    at += some.records;
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += some.counts[name];
  }
  await repair.note(
    'missing',
    'events, quarantine or discarded',
    true,
    `${wanted.length} records of partition ${key.partition} (offsets ${offsetsInWords(rangesOf(wanted))}) were read from the log again: ${sum.stored} stored, ${sum.duplicates} duplicates, ${sum.quarantined} quarantined, ${sum.dropped} dropped for lateness`,
  );
}

async function tellLost(
  repair: Repair,
  scope: Scope,
  partition: number,
  ranges: readonly Range[],
): Promise<void> {
  const count = ranges.reduce((sum, { from, to }) => sum + to - from, 0);
  await repair.note(
    'missing',
    'events, quarantine or discarded',
    false,
    `${count} records of partition ${partition} are lost: the log has forgotten them (it begins at offset ${scope.partitions[partition]!.logStart}). Offsets ${offsetsInWords(ranges)}. Rollups that still count them are left as they are.`,
  );
  await repair.save({ ...repair.state, isRawWhole: false });
}
