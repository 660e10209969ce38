/**
 * Arrivals never decrease along a partition, but each partition has its own: when the clock jumps ahead, one partition
 * follows it, and when it is set back, a partition that was quiet goes on where the clock is now. The ids of a stream
 * were forgotten by the newest arrival of all partitions, so those that the quiet partition still had to ask for were
 * gone, and an event that came again within the horizon was stored twice.
 */
import { expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { discardedTable, eventsTable } from '../../src/store/index.ts';
import { CALM } from '../simulation/plan.ts';
import { until } from '../simulation/run.ts';
import { World } from '../simulation/world.ts';

it.each([1, 3])(
  'an id is stored once within its horizon, whatever the clock does (%i times)',
  async (times) => {
    const world = new World(1, {}, undefined, { ...CALM, partitions: 2, horizonMs: 10_000 });
    let serial = 0;
    const apply = async (partition: number, id: number) => {
      const { log, ingest } = world.process!;
      const key = world.key(partition);
      serial += 1;
      const line = Buffer.from(`{"id":${id},"at":1704067200000,"k":"a","v":1,"n":${serial}}\n`);
      const to = log.state(key).end + 1;
      void log.append(key, { chunks: [line], count: 1, bytes: line.byteLength });
      await until(world, () => ingest.state(key).applied === to);
    };
    await world.scheduler.own(async () => {
      world.start(true);
      await until(world, () => world.process?.state === 'serving');
      await apply(0, 1);
      world.scheduler.jumpWallClock(3_600_000);
      await apply(1, 2);
      world.scheduler.jumpWallClock(-3_600_000);
      for (let time = 0; time < times; time += 1) {
        await apply(0, 1);
        await apply(1, 2);
      }
    });
    expect(world.tables.rows(eventsTable(DEFAULT_TENANT, 's')).map((row) => row.id)).toEqual([1, 2]);
    expect(world.tables.rows(discardedTable(DEFAULT_TENANT, 's')).length).toBe(2 * times);
  },
);
