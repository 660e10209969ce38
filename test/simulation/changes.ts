/** Those who change definitions while events flow. */
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { MillraceError } from '../../src/base/errors.ts';
import { eventsTable, rollupTable } from '../../src/store/index.ts';
import { nothingUnderWay } from './checker.ts';
import { rollupOf, streamOf } from './plan.ts';
import { sumsOf } from './tables.ts';
import type { Process, World } from './world.ts';

type Ended = 'done' | 'died';

/** Runs `work` between two batches of the process of the moment. */
async function exclusively(world: World, process: Process, what: string, work: () => void): Promise<Ended> {
  const { scheduler } = world;
  const { life } = process;
  const key = world.key(0);
  const done = process.ingest
    .exclusively(key.tenant, key.stream, async () => {
      await scheduler.park(life, `${life.name} ${what}`);
      // The catalog and the store refuse whoever was taken over from.
      if (process.owner.isFenced) return 'died' as const;
      nothingUnderWay(world);
      work();
      await scheduler.park(life, `${life.name} ${what}, done`);
      if (!process.owner.isFenced) nothingUnderWay(world);
      return 'done' as const;
    })
    .catch((error: unknown) => {
      if (error instanceof MillraceError) return 'died' as const;
      throw error;
    });
  return Promise.race([done, process.lost]);
}

const appliedOf = (world: World, process: Process): number[] =>
  world.keys().map((key) => process.ingest.state(key).applied);

async function serving(world: World): Promise<Process> {
  const { scheduler } = world;
  for (;;) {
    await scheduler.park(scheduler.outside, 'a change waits');
    if (world.process?.state === 'serving') return world.process;
    await scheduler.sleep(scheduler.outside, 50);
  }
}

export async function changeStream(world: World): Promise<void> {
  const { scheduler, plan, catalog, history } = world;
  for (let change = 0; change < plan.definitionChanges; change += 1) {
    await scheduler.sleep(scheduler.outside, scheduler.below(8_000));
    const process = await serving(world);
    const horizonMs =
      plan.horizonMs > 0 && scheduler.chance(0.4) ? scheduler.pick([2_000, 10_000, 60_000]) : plan.horizonMs;
    await exclusively(world, process, 'changes the stream', () => {
      const stream = streamOf(plan, catalog.streamVersionNow + 1, horizonMs);
      history.changes.push({ version: catalog.putStream(stream), from: appliedOf(world, process) });
    });
  }
}

/** Builds a rollup beside the flow of events: it gets every batch from one moment on, and what was before is filled in. */
export async function changeRollups(world: World): Promise<void> {
  const { scheduler, plan, catalog, tables } = world;
  for (let change = 0; change < plan.rollupChanges; change += 1) {
    await scheduler.sleep(scheduler.outside, scheduler.below(8_000));
    const process = await serving(world);
    const name = scheduler.pick(['r', 'q']);
    const rollup = rollupOf(catalog.stream, name, scheduler.chance(0.5));
    let offsets: readonly number[] = [];
    let table = '';
    const prepared = await exclusively(world, process, 'begins a rollup', () => {
      const { version } = catalog.build(rollup);
      table = rollupTable(DEFAULT_TENANT, name, version);
      offsets = appliedOf(world, process);
    });
    const filled = await Promise.race([
      process.lost,
      scheduler.park(process.life, `${process.life.name} fills a rollup`).then(() => 'done' as const),
    ]);
    if (prepared === 'done' && filled === 'done') {
      const rows = tables
        .rows(eventsTable(DEFAULT_TENANT, 's'))
        .filter((row) => row.offset < offsets[row.partition]!);
      tables.blocks(table).push({ rows: [], sums: sumsOf(rollup, rows), marks: new Map(), durable: true });
      const swapped = await exclusively(world, process, 'swaps a rollup', () => catalog.commit(name));
      if (swapped === 'done') continue;
    }
    // Whoever comes next clears away what was begun.
    while (catalog.building.length > 0)
      await exclusively(world, await serving(world), 'abandons a rollup', () => catalog.abandon(name));
  }
}
