/** After raw was changed: totals follow the tables, ids are read anew, and the ledger looks again. */
import type { Offset } from '../base/brand.ts';
import { noteRewrite, unseal } from '../catalog/index.ts';
import type { IngestTotals } from '../ingest/index.ts';
import { BOUNDED } from './parts.ts';
import type { Repair } from './repair.ts';
import { type PartitionScope, type Scope, scopeOf } from './scope.ts';

type Counts = Pick<
  IngestTotals,
  'stored' | 'duplicates' | 'quarantined' | 'lateDropped' | 'withUnknownFields'
>;

/** May be repeated. */
export async function restate(repair: Repair): Promise<void> {
  const { parts, run, state } = repair;
  if (Object.keys(state.touched).length === 0) return;
  await parts.ingest.exclusively(run.tenant, run.stream as never, async () => {
    const scope = await scopeOf(parts, run.tenant, run.stream, {});
    for (const partition of scope.partitions) await restatePartition(repair, scope, partition);
    await parts.ingest.forgetIds(run.tenant, run.stream as never);
    // Which times the rows had that are gone nobody knows.
    const { tenant, stream, id } = run;
    await noteRewrite(parts.catalog, tenant, stream, { id, event: null, arrival: null });
  });
  parts.onRewritten?.(run.tenant, run.stream);
  for (const [partition, { from, to }] of Object.entries(state.touched)) {
    const range = { partition: Number(partition), from: from as Offset, to: to as Offset };
    await unseal(parts.catalog, run.tenant, run.stream as never, range);
  }
}

async function restatePartition({ parts }: Repair, scope: Scope, partition: PartitionScope): Promise<void> {
  const { key, cut, forgotten } = partition;
  const held = await countsOf(parts.engine, scope, partition);
  const before = forgotten === 0 ? NOTHING : await sealedBelow(parts, partition);
  // What cannot be told is left as it was.
  if (!before) return;
  const sum = (name: keyof Counts): number => held[name] + before[name];
  const total = sum('stored') + sum('duplicates') + sum('quarantined') + sum('lateDropped');
  if (total !== cut) return;
  const { totals, watermarkMs } = parts.ingest.state(key);
  await parts.ingest.restate(key, cut as Offset, {
    totals: {
      ...{ stored: sum('stored'), duplicates: sum('duplicates'), quarantined: sum('quarantined') },
      ...{ lateDropped: sum('lateDropped'), late: totals.late },
      withUnknownFields: forgotten === 0 ? held.withUnknownFields : totals.withUnknownFields,
    },
    watermarkMs,
  });
}

const NOTHING: Counts = { stored: 0, duplicates: 0, quarantined: 0, lateDropped: 0, withUnknownFields: 0 };

async function countsOf(
  engine: Repair['parts']['engine'],
  { raw }: Scope,
  { key, forgotten, cut }: PartitionScope,
): Promise<Counts> {
  const where = `WHERE _partition = ${key.partition} AND _offset >= ${forgotten} AND _offset < ${cut}`;
  const rows = await engine.rows<{ what: keyof Counts; n: string }>(
    {
      text: `SELECT 'stored' AS what, count() AS n FROM ${raw.events} ${where}
UNION ALL SELECT 'withUnknownFields' AS what, countIf(_extra != '') AS n FROM ${raw.events} ${where}
UNION ALL SELECT 'quarantined' AS what, count() AS n FROM ${raw.quarantine} ${where}
UNION ALL SELECT if(why = 'late', 'lateDropped', 'duplicates') AS what, count() AS n FROM ${raw.discarded} ${where} GROUP BY what`,
    },
    BOUNDED,
  );
  return { ...NOTHING, ...Object.fromEntries(rows.map(({ what, n }) => [what, Number(n)])) };
}

/** What the ledger has sealed of the offsets below; undefined when its rows do not end there. */
async function sealedBelow(
  { catalog }: Pick<Repair['parts'], 'catalog'>,
  { key, forgotten }: PartitionScope,
): Promise<Counts | undefined> {
  const { tenant, stream, partition } = key;
  const touching = await catalog.ledger.rows(tenant, stream, { partition, to: forgotten as Offset });
  const rows = touching.filter((row) => row.from < forgotten);
  if (rows.at(0)?.from !== 0 || rows.at(-1)?.to !== forgotten) return undefined;
  const sum = { stored: 0, duplicates: 0, quarantined: 0, lateDropped: 0 };
  for (const row of rows) for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += row[name];
  return { ...sum, withUnknownFields: 0 };
}
