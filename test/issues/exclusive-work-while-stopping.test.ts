/**
 * Work that waited for the moment between two batches was run when the worker stopped, although the last batch was then in
 * some tables only, and although ingest already answered that nothing was applied. A rollup that was begun at such a
 * moment was filled from events that the batch, finished by the next process, gave it again. Work that was asked for
 * after the stop was even run at once.
 */
import { expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { eventsTable } from '../../src/store/index.ts';
import { CALM } from '../simulation/plan.ts';
import { until } from '../simulation/run.ts';
import { World } from '../simulation/world.ts';

it('work that has not begun when ingest stops never does', async () => {
  const world = new World(1, {}, undefined, CALM);
  const ran: string[] = [];
  const told: unknown[] = [];
  await world.scheduler.own(async () => {
    world.start(true);
    await until(world, () => world.process?.state === 'serving');
    const { ingest, log, storeFaults } = world.process!;
    const key = world.key(0);
    const exclusively = (name: string) =>
      ingest
        .exclusively(DEFAULT_TENANT, key.stream, async () => ran.push(name))
        .catch((error: unknown) => told.push(error));
    const line = Buffer.from('{"id":1,"at":1704153597000,"k":"a","v":1,"n":1}\n');
    void log.append(key, { chunks: [line], count: 1, bytes: line.byteLength });
    await until(world, () => world.tables.rows(eventsTable(DEFAULT_TENANT, 's')).length === 1);
    storeFaults.rate = 1;
    const before = exclusively('before the stop');
    let isStopped = false;
    void ingest.stop().then(() => {
      isStopped = true;
    });
    const after = exclusively('after the stop');
    await until(world, () => isStopped);
    await Promise.all([before, after]);
  });
  expect(ran).toEqual([]);
  expect(told).toEqual([
    expect.objectContaining({ code: 'stopping' }),
    expect.objectContaining({ code: 'stopping' }),
  ]);
});

it('work that has begun is told how far its stream is applied, also while ingest stops', async () => {
  const world = new World(1, {}, undefined, CALM);
  const applied: number[] = [];
  await world.scheduler.own(async () => {
    world.start(true);
    await until(world, () => world.process?.state === 'serving');
    const { ingest, log, life } = world.process!;
    const key = world.key(0);
    const line = Buffer.from('{"id":1,"at":1704153597000,"k":"a","v":1,"n":1}\n');
    void log.append(key, { chunks: [line], count: 1, bytes: line.byteLength });
    await until(world, () => ingest.state(key).applied === 1);
    void ingest.exclusively(DEFAULT_TENANT, key.stream, async () => {
      await world.scheduler.park(life, 'works');
      await world.scheduler.park(life, 'works on');
      applied.push(ingest.state(key).applied);
    });
    await world.scheduler.settle();
    let isStopped = false;
    world.scheduler.step();
    await world.scheduler.settle();
    void ingest.stop().then(() => {
      isStopped = true;
    });
    await until(world, () => isStopped);
  });
  expect(applied).toEqual([1]);
});
