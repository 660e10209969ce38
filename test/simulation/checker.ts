/**
 * Judges a history from the outside: by what producers were told, what the log gives back, and what the tables show
 * to a question. It knows nothing of batches, manifests or indexes.
 */
import { DEFAULT_TENANT, type Offset } from '../../src/base/brand.ts';
import { discardedTable, eventsTable, quarantineTable, rollupTable } from '../../src/store/index.ts';
import { bucketMsOf, type Fate, fatesOf, type LoggedRecord } from './oracle.ts';
import { countOutcomes } from './store.ts';
import { type Row, type Sums, sumsOf } from './tables.ts';
import type { World } from './world.ts';

const EVENTS = eventsTable(DEFAULT_TENANT, 's');
const QUARANTINE = quarantineTable(DEFAULT_TENANT, 's');
const DISCARDED = discardedTable(DEFAULT_TENANT, 's');

/** Each of the records can be seen in one table, once. */
export function visibleOnce(world: World, partition: number, from: number, to: number): void {
  const seen = [EVENTS, QUARANTINE, DISCARDED].flatMap((table) =>
    world.tables
      .rows(table)
      .filter((row) => row.partition === partition && row.offset >= from && row.offset < to)
      .map((row) => row.offset),
  );
  for (let offset = from; offset < to; offset += 1) {
    const times = seen.filter((one) => one === offset).length;
    if (times !== 1) world.fail(`${partition}:${offset} is said to be stored and is there ${times} times`);
  }
}

/** No batch is half applied: what the tables show is what lies below the positions. */
export function nothingUnderWay(world: World): void {
  const { process, tables } = world;
  for (const table of [EVENTS, QUARANTINE, DISCARDED])
    for (const { partition, offset } of tables.rows(table))
      if (offset >= process!.ingest.state(world.key(partition)).applied)
        world.fail(`${table} has ${partition}:${offset}, which is not applied, while no batch is under way`);
}

/** The whole judgement, once everything is drained. */
export async function judge(world: World): Promise<void> {
  const logs = await Promise.all(world.keys().map((key) => readLog(world, key.partition)));
  acknowledgedIsLogged(world, logs);
  const fates = everyRecordOnce(world, logs);
  toldTheTruth(world);
  totalsAreCounts(world);
  idsOnceWithinTheHorizon(world);
  rollupsAreRecomputations(world);
  if (!world.plan.crossing)
    logs.forEach((log, partition) => {
      fatesOf(log).forEach((fate, offset) => {
        if (fate !== fates[partition]![offset])
          world.fail(`${partition}:${offset} is ${fates[partition]![offset]}, but by the log it is ${fate}`);
      });
    });
}

async function readLog(world: World, partition: number): Promise<LoggedRecord[]> {
  const { log } = world.process!;
  const key = world.key(partition);
  const records: LoggedRecord[] = [];
  const { end } = log.state(key);
  while (records.length < end) {
    const blocks = await log.read(key, records.length as Offset, 1_000);
    if (blocks.length === 0) world.fail(`the log of ${partition} ends at ${records.length}, not at ${end}`);
    for (const { payload, receivedAtMs, baseOffset } of blocks) {
      if (baseOffset !== records.length) world.fail(`the log of ${partition} has no ${records.length}`);
      for (const line of Buffer.from(payload).toString().split('\n').slice(0, -1)) {
        const version = world.history.changes.findLast(
          (change) => change.from[partition]! <= records.length,
        )!;
        records.push({ line, receivedAtMs, stream: world.catalog.streamVersion(version.version) });
      }
    }
  }
  return records;
}

function acknowledgedIsLogged(world: World, logs: readonly (readonly LoggedRecord[])[]): void {
  const { acknowledged, refused, sent } = world.history;
  for (const { partition, from, lines } of acknowledged)
    lines.forEach((line, i) => {
      const found = logs[partition]![from + i]?.line;
      if (found !== line)
        world.fail(`${partition}:${from + i} was acknowledged as ${line}, the log has ${found}`);
    });
  const seen = new Set<string>();
  for (const { line } of logs.flat()) {
    if (!sent.has(line)) world.fail(`nobody sent ${line}`);
    if (refused.has(line)) world.fail(`${line} was refused and is in the log`);
    if (seen.has(line)) world.fail(`${line} is twice in the log`);
    seen.add(line);
  }
}

function everyRecordOnce(world: World, logs: readonly (readonly LoggedRecord[])[]): Fate[][] {
  const fates: Fate[][] = logs.map(() => []);
  const look = (table: string, fateOf: (row: Row) => Fate) => {
    for (const row of world.tables.rows(table)) {
      const { partition, offset, line } = row;
      const fate = fateOf(row);
      const before = fates[partition]![offset];
      if (before) world.fail(`${partition}:${offset} is ${before} and ${fate}`);
      if (logs[partition]![offset]?.line !== line)
        world.fail(`${table} has ${line} at ${partition}:${offset}, which is not what the log has there`);
      fates[partition]![offset] = fate;
    }
  };
  look(EVENTS, () => 'stored');
  look(QUARANTINE, () => 'quarantined');
  look(DISCARDED, ({ why }) => why!);
  logs.forEach((log, partition) => {
    log.forEach((record, offset) => {
      if (!fates[partition]![offset]) world.fail(`${partition}:${offset} is nowhere: ${record.line}`);
    });
  });
  return fates;
}

function toldTheTruth(world: World): void {
  for (const { partition, from, to, outcome } of world.history.told) {
    const { late: _, ...told } = outcome;
    same(
      world,
      `what was told of ${partition}:[${from}, ${to})`,
      told,
      countOutcomes(world.tables, world.key(partition), from, to),
    );
  }
}

function totalsAreCounts(world: World): void {
  for (const key of world.keys()) {
    const { totals, applied } = world.process!.ingest.state(key);
    const { late: _l, withUnknownFields: _w, ...counted } = totals;
    same(world, `the totals of ${key.partition}`, counted, countOutcomes(world.tables, key, 0, applied));
  }
}

function same(world: World, what: string, told: object, truth: object): void {
  const sorted = (one: object) => JSON.stringify(Object.entries(one).sort());
  if (sorted(told) !== sorted(truth)) world.fail(`${what}: ${sorted(told)}, but there are ${sorted(truth)}`);
}

function idsOnceWithinTheHorizon(world: World): void {
  const horizons = world.history.changes.map(
    (one) => world.catalog.streamVersion(one.version).dedupeWithinMs,
  );
  const [least, greatest] = [Math.min(...horizons), Math.max(...horizons)];
  const stored = new Map<number, Row[]>();
  for (const row of world.tables.rows(EVENTS)) stored.set(row.id, [...(stored.get(row.id) ?? []), row]);
  if (least > 0)
    for (const [id, rows] of stored)
      for (const [i, a] of rows.entries())
        for (const b of rows.slice(i + 1))
          if (Math.abs(a.receivedAtMs - b.receivedAtMs) <= least)
            world.fail(
              `id ${id} is stored at ${a.partition}:${a.offset} and at ${b.partition}:${b.offset}, ${Math.abs(a.receivedAtMs - b.receivedAtMs)} ms apart`,
            );
  for (const row of world.tables.rows(DISCARDED)) {
    if (row.why !== 'duplicate') continue;
    const most = greatest + bucketMsOf(greatest);
    const original = stored.get(row.id)?.some((one) => one.receivedAtMs >= row.receivedAtMs - most);
    if (!original) world.fail(`${row.partition}:${row.offset} is a duplicate of nothing: ${row.line}`);
  }
}

function rollupsAreRecomputations(world: World): void {
  const rows = world.tables.rows(EVENTS);
  const text = (sums: Sums) => JSON.stringify([...sums].sort());
  for (const { definition, version } of world.catalog.rollups) {
    const table = rollupTable(DEFAULT_TENANT, definition.name, version);
    const kept = text(world.tables.sums(table));
    const recomputed = text(sumsOf(definition, rows));
    if (kept !== recomputed) world.fail(`${table} has ${kept}, the events give ${recomputed}`);
  }
}
