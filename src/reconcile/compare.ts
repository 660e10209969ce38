/** Everything is compared, in the order in which later answers rest on earlier ones. */
import type { Run } from '../runs/port.ts';
import { rollupTable } from '../store/index.ts';
import { type BrokenPart, detachedParts, findBrokenParts } from './broken-parts.ts';
import { compareContents } from './contents.ts';
import type { Circumstances } from './explain.ts';
import { findIdsTwice } from './ids.ts';
import { findStrays, isMissing, type Miscounted, miscounted, type Strays, surplusOf } from './offsets.ts';
import { type BrokenParts, LISTED_MAX, type Pulse, type ReconcileParts } from './parts.ts';
import type { Comparison, Difference, DifferenceKind, ReconcileRequest } from './port.ts';
import { compareRollup, type Exclusively, type RollupFinding } from './rollups.ts';
import { RAW_TABLES, type Scope, scopeOf } from './scope.ts';
import {
  bounded,
  countedMore,
  type OffsetFinding,
  tellDoubled,
  tellIdTwice,
  tellMissing,
  tellPart,
  tellRollup,
  tellStrays,
  unverifiableOf,
} from './tell.ts';

export interface Compared {
  readonly scope: Scope;
  readonly broken: BrokenParts;
  readonly rollups: readonly RollupFinding[];
  readonly comparison: Comparison;
}

/** Retention may drop a day in the middle: then everything is looked at once more. */
export async function compareAll(
  parts: ReconcileParts,
  run: Pick<Run, 'id' | 'tenant' | 'stream'>,
  request: ReconcileRequest,
  pulse: Pulse,
): Promise<Compared> {
  for (let tries = 1; ; tries += 1) {
    const compared = await compareOnce(parts, run, request, pulse);
    const now = await scopeOf(parts, run.tenant, run.stream, request);
    const { forgottenBeforeMs, completeSinceMs } = compared.scope;
    const same = now.forgottenBeforeMs === forgottenBeforeMs && now.completeSinceMs === completeSinceMs;
    if (same || tries === TRIES_MAX) return compared;
  }
}

const TRIES_MAX = 3;

async function compareOnce(
  parts: ReconcileParts,
  { id: run, tenant, stream: name }: Pick<Run, 'id' | 'tenant' | 'stream'>,
  request: ReconcileRequest,
  pulse: Pulse,
): Promise<Compared> {
  const { engine, clock, ingest, log } = parts;
  const atMs = clock.now();
  const scope = await scopeOf(parts, tenant, name, request);

  pulse.step('reading every part');
  const tables = new Map<string, string>([
    ...RAW_TABLES.map((table) => [scope.raw[table], table] as const),
    ...scope.rollups.map(
      ({ definition, version }) => [rollupTable(tenant, definition.name, version), definition.name] as const,
    ),
  ]);
  const brokenParts: BrokenPart[] = [];
  for (const table of tables.keys()) brokenParts.push(...(await findBrokenParts(engine, table, pulse)));
  const broken = byTable(brokenParts);
  // A batch may wait for ever for a part that cannot be read; what is looked at then may be of two moments.
  const isCalm = !Object.values(scope.raw).some((table) => broken.has(table));
  const exclusively: Exclusively = (work) =>
    isCalm ? ingest.exclusively(tenant, scope.stream.definition.name, work) : work();

  pulse.step('comparing offsets with the log');
  const counts = { missing: 0, doubled: 0 };
  const offsets: { missing: OffsetFinding[]; doubled: OffsetFinding[] } = { missing: [], doubled: [] };
  for await (const { partition, found } of miscounted(engine, scope, broken, pulse)) {
    counts.missing += found.filter(isMissing).length;
    counts.doubled += found.reduce((sum, one) => sum + surplusOf(one), 0);
    for (const one of found)
      note(offsets[isMissing(one) ? 'missing' : 'doubled'], partition.key.partition, one);
  }
  const ends = () =>
    scope.partitions.map(({ key }) => Math.max(log.state(key).end, ingest.state(key).applied));
  let strays: readonly Strays[] = await findStrays(engine, scope, broken, ends());
  if (strays.length > 0) strays = await exclusively(() => findStrays(engine, scope, broken, ends()));

  pulse.step('looking for ids that are stored twice');
  const ids = await findIdsTwice(engine, scope, broken, pulse);
  const contents = request.deep ? await compareContents(parts, run, scope, broken, pulse) : undefined;

  const rollups: RollupFinding[] = [];
  const remarks: string[] = [...(contents?.remarks ?? [])];
  for (const rollup of scope.rollups) {
    pulse.step(`comparing the rollup ${rollup.definition.name}`);
    const found = await compareRollup(parts, scope, rollup, broken, pulse, exclusively);
    if (found) rollups.push(found);
    else remarks.push(`the rollup ${rollup.definition.name} was changed meanwhile and is not compared`);
    if (found?.hasTop)
      remarks.push(
        `top measures of ${rollup.definition.name}: counts, and values that no tie can exchange, of buckets whose values fit into the sketch; beyond that a sketch depends on how it was merged`,
      );
  }

  const circumstances: Circumstances = {
    ...counts,
    idsTwice: ids.surplus,
    lostParts: await lostParts(parts, tables, brokenParts),
    rollupsCountMore: countedMore(rollups),
    horizonMs: scope.stream.definition.dedupeWithinMs,
  };
  const differences: Difference[] = [
    ...brokenParts.slice(0, LISTED_MAX).map((part) => tellPart(part, tables.get(part.table)!)),
    ...offsets.missing.slice(0, LISTED_MAX).map((one) => tellMissing(one, circumstances)),
    ...offsets.doubled.slice(0, LISTED_MAX).map(tellDoubled),
    ...strays.map(tellStrays),
    ...(contents?.listed ?? []),
    ...ids.listed.map((one) => tellIdTwice(one, circumstances)),
    ...rollups.flatMap((rollup) => tellRollup(rollup, circumstances)).slice(0, LISTED_MAX),
  ];
  const counted: Partial<Record<DifferenceKind, number>> = {
    'unreadable-part': brokenParts.length,
    ...counts,
    stray: strays.reduce((sum, one) => sum + one.rows, 0),
    content: contents?.count ?? 0,
    'id-twice': ids.surplus,
    rollup: rollups.reduce((sum, one) => sum + one.count, 0),
  };
  const comparison: Comparison = {
    atMs,
    records: scope.partitions.reduce((sum, { from, cut }) => sum + cut - from, 0),
    rollups: rollups.map((one) => ({ name: one.name, days: one.days })),
    counts: Object.fromEntries(Object.entries(counted).filter(([, count]) => count > 0)),
    differences: bounded(differences),
    unverifiable: [...unverifiableOf(scope, rollups), ...(contents?.unverifiable ?? [])],
    remarks,
  };
  return { scope, broken, rollups, comparison };
}

function byTable(found: readonly BrokenPart[]): BrokenParts {
  const tables = new Map<string, string[]>();
  for (const { table, part } of found) tables.set(table, [...(tables.get(table) ?? []), part]);
  return tables;
}

/** Takes consecutive offsets with the same rows together; keeps as many as are told. */
function note(findings: OffsetFinding[], partition: number, one: Miscounted): void {
  const tables = RAW_TABLES.filter((table) => one[table] > 0);
  const rows = one.events + one.quarantine + one.discarded;
  const last = findings.at(-1);
  if (
    last?.partition === partition &&
    last.to === one.offset &&
    last.rows === rows &&
    last.tables.join() === tables.join()
  ) {
    findings[findings.length - 1] = { ...last, to: one.offset + 1 };
  } else if (findings.length <= LISTED_MAX) {
    findings.push({ partition, from: one.offset, to: one.offset + 1, tables, rows });
  }
}

async function lostParts(
  { engine }: Pick<ReconcileParts, 'engine'>,
  tables: ReadonlyMap<string, string>,
  broken: readonly BrokenPart[],
): Promise<Record<string, string[]>> {
  const lost: Record<string, string[]> = {};
  const add = (table: string, words: string) => {
    const name = tables.get(table)!;
    lost[name] = [...(lost[name] ?? []), words];
  };
  for (const { table, part } of broken) add(table, `has the part ${part}, which cannot be read`);
  for (const { table, name, reason } of await detachedParts(engine, [...tables.keys()])) {
    add(table, `has the part ${name} set aside${reason === '' ? '' : ` (${reason})`}`);
  }
  return lost;
}
