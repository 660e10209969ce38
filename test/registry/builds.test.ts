import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT as TENANT } from '../../src/base/brand.ts';
import type { Run } from '../../src/runs/index.ts';
import {
  applied,
  bucketsOf,
  callingAt,
  makeWorld,
  type Process,
  powerCutAt,
  rollupTables,
  type World,
} from './world.ts';

const SALES = {
  fields: {
    id: 'uint64',
    at: 'timestamp',
    city: 'string',
    size: { type: 'int32', optional: true },
    price: { type: 'decimal', precision: 12, scale: 2 },
  },
  eventId: 'id',
  eventTime: 'at',
  dedupe: { within: '30d' },
  lateness: { allowed: '1h', then: 'count' },
  partitions: 2,
};
const BY_CITY = {
  from: 'sales',
  by: ['city'],
  every: '10s',
  measures: {
    n: 'count()',
    p: 'sum(price)',
    a: 'avg(size)',
    hi: 'max(size)',
    u: 'unique(id)',
    q: 'quantile(price)',
    t: 'top(city,3)',
  },
};
const BY_SIZE = { from: 'sales', by: ['size'], every: '1m', measures: { n: 'count()', u: 'unique(city)' } };

const DAY = 86_400_000;
const sale = (id: number) => ({
  id,
  at: new Date(Date.UTC(2024, 4, 1) + (id % 90) * 7_919_000).toISOString(),
  city: ['Ulm', 'Bonn', 'Jena'][id % 3],
  ...(id % 4 === 0 ? {} : { size: id % 11 }),
  price: `${id}.${String(id % 100).padStart(2, '0')}`,
});
const sales = (from: number, count: number) => Array.from({ length: count }, (_, i) => sale(from + i));

/** Set to cancel and crash at every statement. */
const EVERY_STEP = process.env.MILLRACE_TEST_EVERY_STEP !== undefined;
const STRIDE = EVERY_STEP ? 1 : 4;

let world: World;
const running: Process[] = [];
const start = async (...over: Parameters<World['start']>): Promise<Process> => {
  const process = await world.start(...over);
  running.push(process);
  return process;
};
beforeEach(() => {
  world = makeWorld();
});
afterEach(async () => {
  for (const process of running.splice(0)) await process.stop();
  await world.close();
});

/** 300 events over three days of arrival and two partitions: three chunks, a tenth of the events duplicates. */
async function history(process: Process, name = 'sales'): Promise<void> {
  await process.registry.put(TENANT, 'stream', name, SALES);
  const ends = [0, 0];
  for (let day = 0; day < 3; day += 1) {
    for (const partition of [0, 1]) {
      const first = day * 100 + partition * 50;
      ends[partition] = await world.append(name, [...sales(first, 45), ...sales(first, 5)], partition);
    }
    world.arrival.now += DAY;
  }
  for (const partition of [0, 1]) await applied(process, name, ends[partition]!, partition);
}

const finished = (process: Process, run: Run | undefined): Promise<Run> =>
  process.runs.wait(TENANT, run!.id, 60_000);

async function expectExact(process: Process, name: string): Promise<void> {
  const table = await bucketsOf(world.engine, process.catalog, name, 'table');
  expect(table.length).toBeGreaterThan(10);
  expect(table).toEqual(await bucketsOf(world.engine, process.catalog, name, 'events'));
}

describe('a rollup that is added to a history', () => {
  it('has the numbers that it would have had from the beginning, sketches and all', async () => {
    const process = await start();
    await process.registry.put(TENANT, 'stream', 'sales', SALES);
    const early = await process.registry.put(TENANT, 'rollup', 'early', BY_CITY);
    expect((await finished(process, early.run)).state).toBe('done');
    await history(process);
    const { result, created, run } = await process.registry.put(TENANT, 'rollup', 'by_city', BY_CITY);
    expect({ created, version: result.version }).toEqual({ created: true, version: 1 });
    expect(run).toMatchObject({
      state: 'done',
      progress: { done: 270, total: 270, unit: 'events' },
      result: { rollups: [{ name: 'by_city', version: 1 }] },
    });
    await expectExact(process, 'by_city');
    expect(await bucketsOf(world.engine, process.catalog, 'by_city', 'table')).toEqual(
      await bucketsOf(world.engine, process.catalog, 'early', 'table'),
    );
    expect(await rollupTables(world.engine)).toEqual(['rollup_by_city_v1', 'rollup_early_v1']);
    expect(process.catalog.builds.open()).toEqual([]);
    expect(process.failures).toEqual([]);
  });

  it('misses nothing of what comes while it is built, late and twice too, and takes what comes afterwards', async () => {
    const process = await start();
    await history(process);
    let stop = false;
    let next = 1_000;
    let end = 0;
    const sending = (async () => {
      while (!stop) {
        // New ones, old ones again, and ones whose time lies years back.
        const late = { ...sale(next), at: '2019-03-01T00:00:00Z' };
        end = await world.append('sales', [late, ...sales(next + 1, 20), ...sales(0, 10)], next % 2);
        next += 21;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    const { run } = await process.registry.put(TENANT, 'rollup', 'by_city', BY_CITY);
    expect(run?.state).toBe('done');
    await new Promise((resolve) => setTimeout(resolve, 100));
    stop = true;
    await sending;
    for (const partition of [0, 1]) {
      const key = { tenant: TENANT, stream: 'sales' as never, partition };
      await applied(process, 'sales', world.log.state(key).end, partition);
    }
    expect(end).toBeGreaterThan(0);
    await expectExact(process, 'by_city');
    expect(process.failures).toEqual([]);
  });

  it('answers nothing before it is whole; a changed one answers as it was until it is swapped', async () => {
    const process = await start();
    await history(process);
    const gate = powerCutAt(world.engine, 12, 'before');
    await process.stop();
    running.splice(0);
    const halted = await start(gate.over);
    void halted.registry.put(TENANT, 'rollup', 'by_city', BY_CITY);
    await gate.gone;
    expect(halted.catalog.rollup(TENANT, 'by_city')).toBeUndefined();
    expect(await halted.registry.newRollups(TENANT)).toMatchObject([
      { rollup: { version: 1, definition: { name: 'by_city' } }, run: { state: 'running' } },
    ]);
    expect((await halted.registry.underConstruction(TENANT, 'by_city'))?.rollup.document).toMatchObject({
      every: '10s',
    });
    running.splice(0);
  });
});

describe('a change of a rollup', () => {
  it('cancels the build that is under way, and hands out no version twice', async () => {
    const process = await start();
    await history(process);
    await process.registry.put(TENANT, 'rollup', 'r', BY_CITY);
    // Neither is waited for: the second finds the first under way.
    const [first, second] = await Promise.allSettled([
      process.registry.put(TENANT, 'rollup', 'r', BY_SIZE),
      process.registry.put(TENANT, 'rollup', 'r', { ...BY_SIZE, every: '1h' }),
    ]);
    if (first.status === 'rejected') expect(first.reason).toMatchObject({ code: 'conflict' });
    expect(second).toMatchObject({ status: 'fulfilled', value: { created: false } });
    expect(process.catalog.rollup(TENANT, 'r')).toMatchObject({
      version: 3,
      document: { every: '1h', by: ['size'] },
    });
    expect(await rollupTables(world.engine)).toEqual(['rollup_r_v3']);
    await expectExact(process, 'r');
  });

  it('that is the one under way joins it', async () => {
    const process = await start();
    await history(process);
    const [one, two] = await Promise.all([
      process.registry.put(TENANT, 'rollup', 'r', BY_CITY),
      process.registry.put(TENANT, 'rollup', 'r', BY_CITY),
    ]);
    expect(one.result.version).toBe(1);
    expect(two.result.version).toBe(1);
  });

  it('builds anew without a change when it is asked to, and mends what was wrong', async () => {
    const process = await start();
    await history(process);
    await process.registry.put(TENANT, 'rollup', 'r', BY_CITY);
    await world.engine.execute({ text: 'TRUNCATE TABLE t_default.rollup_r_v1' });
    const run = await process.registry.rebuildRollup(TENANT, 'r');
    expect((await finished(process, run)).state).toBe('done');
    expect(process.catalog.rollup(TENANT, 'r')?.version).toBe(2);
    await expectExact(process, 'r');
    await expect(process.registry.rebuildRollup(TENANT, 'nope')).rejects.toMatchObject({
      code: 'unknown-rollup',
    });
  });

  it('two builds of one stream come to their ends one after the other', async () => {
    const process = await start();
    await history(process);
    await Promise.all([
      process.registry.put(TENANT, 'rollup', 'a', BY_CITY),
      process.registry.put(TENANT, 'rollup', 'b', BY_SIZE),
    ]);
    await expectExact(process, 'a');
    await expectExact(process, 'b');
  });

  it('moves a rollup to another stream', async () => {
    const process = await start();
    await history(process);
    await history(process, 'returns');
    await process.registry.put(TENANT, 'rollup', 'r', BY_CITY);
    await process.registry.put(TENANT, 'rollup', 'r', { ...BY_CITY, from: 'returns' });
    await applied(process, 'returns', await world.append('returns', sales(5_000, 10)));
    await applied(process, 'sales', await world.append('sales', sales(6_000, 10)));
    await expectExact(process, 'r');
    expect(await rollupTables(world.engine)).toEqual(['rollup_r_v2']);
  });
});

describe('a table that is not what it should be', () => {
  it('is built anew; when it never is, nothing of it stands and it is said why', async () => {
    const process = await start();
    await history(process);
    await process.registry.put(TENANT, 'rollup', 'r', BY_CITY);
    await process.stop();
    running.splice(0);
    for (const spoiled of [1, 5]) {
      let left = spoiled;
      const spoiling = {
        ...powerCutAt(world.engine, 0, 'before').over,
        execute: async (statement: { text: string }) => {
          await world.engine.execute(statement);
          const table = /INSERT INTO (\S+rollup_r_v\d+\S*) SELECT _tier/.exec(statement.text)?.[1];
          if (table === undefined || left === 0) return;
          left -= 1;
          await world.engine.execute({
            text: `ALTER TABLE ${table} DELETE WHERE _tier = 10 SETTINGS mutations_sync = 2`,
          });
        },
      };
      const next = await start(spoiling);
      const put = next.registry.put(TENANT, 'rollup', 'r', spoiled === 1 ? BY_SIZE : BY_CITY);
      if (spoiled === 1) {
        expect((await put).run?.state).toBe('done');
        await expectExact(next, 'r');
      } else {
        // Every chunk is spoiled: more than is forgiven.
        left = 1_000;
        await expect(put).rejects.toMatchObject({
          code: 'build-failed',
          message: expect.stringContaining('does not agree with the stored events (r, tier 10'),
        });
        expect(next.catalog.rollup(TENANT, 'r')?.document).toMatchObject({ by: ['size'] });
        expect(await rollupTables(world.engine)).toHaveLength(1);
        await expectExact(next, 'r');
      }
      await next.stop();
      running.splice(0);
    }
  });
});

describe('removing', () => {
  it('a rollup, or a stream, ends what is being built of it', async () => {
    const process = await start();
    await history(process);
    for (const remove of ['rollup', 'stream'] as const) {
      const put = process.registry.put(TENANT, 'rollup', 'r', BY_CITY).then(
        () => 'stands',
        (error) => error.code,
      );
      await process.registry.remove(TENANT, remove, remove === 'rollup' ? 'r' : 'sales').catch((error) => {
        // The build may have been first.
        expect(error.code).toMatch(/conflict|unknown-rollup/);
      });
      // Whoever came first: the build, its end, or the end of its stream.
      expect(['stands', 'conflict', 'bad-definition']).toContain(await put);
      if (process.catalog.rollup(TENANT, 'r')) await process.registry.remove(TENANT, 'rollup', 'r');
      expect(await rollupTables(world.engine)).toEqual([]);
    }
    expect(process.catalog.builds.open()).toEqual([]);
  });
});

describe('a build that is cancelled', () => {
  it('leaves what stood before, wherever it was; past its point of no return it stands', async () => {
    const first = await start();
    await history(first);
    await first.registry.put(TENANT, 'rollup', 'r', BY_SIZE);
    await first.stop();
    running.splice(0);
    const states: string[] = [];
    for (let at = 1; states.at(-1) !== 'never'; at += STRIDE) {
      const over = callingAt(world.engine, 0, () => undefined);
      const process = await world.start(over);
      const before = process.catalog.rollup(TENANT, 'r')!;
      let cancelled = false;
      const cancel = async () => {
        cancelled = true;
        const [run] = await process.runs.list(TENANT, { limit: 1 });
        try {
          if (run) await process.runs.cancel(TENANT, run.id);
        } catch (error) {
          expect(error).toMatchObject({ code: 'conflict' });
        }
      };
      Object.assign(over, callingAt(world.engine, at, cancel));
      const next = before.document.every === '1m' ? BY_CITY : BY_SIZE;
      const put = process.registry.put(TENANT, 'rollup', 'r', next).then(
        () => 'done',
        (error) => error.code as string,
      );
      await world.append('sales', sales(20_000 + at * 10, 5));
      const ended = await put;
      states.push(cancelled ? ended : 'never');
      const { version } = process.catalog.rollup(TENANT, 'r')!;
      if (ended === 'done') expect(version).toBeGreaterThan(before.version);
      else expect([ended, version]).toEqual(['conflict', before.version]);
      expect(await rollupTables(world.engine)).toEqual([`rollup_r_v${version}`]);
      expect(process.catalog.builds.open()).toEqual([]);
      const key = { tenant: TENANT, stream: 'sales' as never, partition: 0 };
      await applied(process, 'sales', world.log.state(key).end);
      await expectExact(process, 'r');
      await process.stop();
    }
    expect(states.filter((state) => state === 'conflict').length).toBeGreaterThan(3);
  });
});

describe.each(['before', 'after'] as const)('a crash %s any statement of a build', (when) => {
  it('counts nothing twice and loses nothing: the build goes on, or never was', async () => {
    const first = await start();
    await history(first);
    await first.registry.put(TENANT, 'rollup', 'r', BY_SIZE);
    await first.stop();
    running.splice(0);
    let crashes = 0;
    for (let at = EVERY_STEP || when === 'before' ? 1 : 3; ; at += STRIDE) {
      const cut = powerCutAt(world.engine, Number.POSITIVE_INFINITY, when);
      const process = await world.start(cut.over);
      const standing = process.catalog.rollup(TENANT, 'r')!;
      // Counts from here: what a start needs is not what is tested.
      const armed = powerCutAt(world.engine, at, when);
      Object.assign(cut.over, armed.over);
      const put = process.registry
        .put(TENANT, 'rollup', 'r', standing.document.every === '1m' ? { ...BY_CITY } : BY_SIZE)
        .then(() => 'done' as const);
      // Something comes meanwhile, so that batches are cut off, too.
      await world.append('sales', sales(10_000 + at * 10, 5), crashes % 2);
      const ended = await Promise.race([put, armed.gone.then(() => 'crashed' as const)]);
      if (ended === 'done') {
        await process.stop();
        break;
      }
      crashes += 1;
      // The old process is dead: all that it waits for never comes.
      const next = await world.start();
      for (const partition of [0, 1]) {
        const key = { tenant: TENANT, stream: 'sales' as never, partition };
        await applied(next, 'sales', world.log.state(key).end, partition);
      }
      for (const run of await next.runs.list(TENANT, { state: 'running' })) await finished(next, run);
      expect((await next.runs.list(TENANT)).map((run) => [run.state, run.error])).not.toContainEqual([
        'failed',
        expect.anything(),
      ]);
      const { version } = next.catalog.rollup(TENANT, 'r')!;
      expect(await rollupTables(world.engine), `crash at ${at}`).toEqual([`rollup_r_v${version}`]);
      expect(next.catalog.builds.open()).toEqual([]);
      await expectExact(next, 'r');
      await next.stop();
    }
    expect(crashes).toBeGreaterThan(5);
  });
});
