import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventsTable } from '../../src/store/index.ts';
import { OTHER, TENANT, World } from './world.ts';

const STREAM = {
  fields: { id: 'uint64', at: 'timestamp', city: 'string', kind: 'string', size: 'int64' },
  eventId: 'id',
  eventTime: 'at',
};
const ROLLUPS = {
  by_city: { by: ['city'], every: '1m', measures: { n: 'count()', size: 'sum(size)', top: 'max(size)' } },
};

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

const minute = (ago: number): number => Math.floor(world.clock.now() / 60_000) * 60_000 - ago * 60_000;
let nextId = 0;
const event = (city: string, ago: number, size: number | string = 1): object => ({
  ...{ id: nextId++, at: minute(ago) + 17, city, kind: 'k', size },
});
const last = (minutes: number) => ({ from: String(minute(minutes)), to: String(minute(-1)) });

describe('the recent buckets of a rollup', () => {
  it('answer from memory what is asked for the second time', async () => {
    await world.define('s', STREAM, ROLLUPS);
    await world.send('s', [event('a', 3, 5), event('b', 3, 7), event('a', 1, '9223372036854775807')]);
    const request = { fn: ['count', 'sum(size)', 'max(size)'], where: ['city:eq:a'], ...last(60) };
    expect(await world.same('s', request)).toBe(false);
    await world.hot.settled();
    expect(await world.same('s', request)).toBe(true);
    const answer = await world.stats.ask(TENANT, 's', request);
    expect(answer.rowsJson).toBe(
      '[{"count":2,"sum(size)":9223372036854775812,"max(size)":9223372036854775807}]',
    );
    expect(answer.meta).toMatchObject({ source: 'rollup by_city', lag_ms: 0, cached: false });
  });

  it('hold a batch as soon as its sender hears that it is stored', async () => {
    await world.define('s', STREAM, ROLLUPS);
    await world.send('s', [event('a', 1)]);
    const request = { where: ['city:eq:a'], ...last(60) };
    await world.warm('s', request);
    for (let n = 2; n < 20; n += 1) {
      await world.send('s', [event('a', n % 5), event('b', 0)]);
      const before = world.hot.figures().answered;
      const { rowsJson } = await world.stats.ask(TENANT, 's', request);
      expect([rowsJson, world.hot.figures().answered]).toEqual([`[{"count":${n}}]`, before + 1]);
    }
  });

  it('answer for a range that ends between two buckets from the events of those, when it is asked again and again', async () => {
    await world.define('s', STREAM, ROLLUPS);
    const at = (city: string, ago: number, ms: number, size: number) => ({
      ...{ id: nextId++, at: minute(ago) + ms, city, kind: 'k', size },
    });
    await world.send('s', [
      at('a', 10, 0, 1),
      at('a', 10, 100, 2),
      at('b', 10, 100, 3),
      at('a', 10, 59_999, 4),
    ]);
    await world.send('s', [event('a', 5, 10), at('a', 2, 30_000, 20), at('b', 2, 30_001, 30)]);
    await world.warm('s', last(60));
    const range = (from: number, to: number) => ({
      ...{ fn: ['count', 'sum(size)', 'max(size)'] },
      ...{ from: String(minute(10) + from), to: String(minute(2) + to) },
    });
    const about = [{}, { by: 'city' }, { where: ['city:eq:a'] }, { where: ['city:ne:a'] }, { every: '1m' }];
    const all = () =>
      [100, 101, 59_999].flatMap((from) =>
        [30_000, 30_001].flatMap((to) => about.map((rest) => ({ ...range(from, to), ...rest }))),
      );
    const asked = async () => {
      let fromMemory = 0;
      for (const request of all()) if (await world.same('s', request)) fromMemory += 1;
      await world.hot.settled();
      return fromMemory;
    };
    await asked();
    const count = all().length;
    expect(await asked()).toBe(count);
    expect(await asked()).toBe(count);

    // What comes later into one of them is in the next answer, whoever gives it; events are read again after a while.
    await world.send('s', [at('a', 10, 101, 1_000)]);
    expect(await asked()).toBeLessThan(count);
    world.clock.atMs += 11_000;
    await asked();
    expect(await asked()).toBe(count);
  });

  it('do not answer from events that are not all there any more', async () => {
    await world.define('s', STREAM, ROLLUPS);
    const times = [10, 20, 30].map((ms) => ({
      id: nextId++,
      at: minute(5) + ms,
      city: 'a',
      kind: 'k',
      size: 1,
    }));
    await world.send('s', times);
    await world.warm('s', last(60));
    await world.engine.execute({
      text: `DELETE FROM ${eventsTable(TENANT, 's')} WHERE id = ${times[1]!.id}`,
    });
    const request = { where: ['city:eq:a'], from: String(minute(5) + 15), to: String(minute(-1)) };
    for (let i = 0; i < 6; i += 1) {
      expect(await world.same('s', request)).toBe(false);
      await world.hot.settled();
    }
    expect(world.failures).toEqual([]);
  });

  it('answer for a range that ends between two buckets, if those hold nothing of what is asked for', async () => {
    await world.define('s', STREAM, ROLLUPS);
    await world.send('s', [event('a', 10), event('a', 5, 7), event('b', 12), event('c', 2)]);
    await world.warm('s', last(60));
    const from = (ago: number, ms: number) => ({ from: String(minute(ago) + ms) });
    const sum = { fn: ['count', 'sum(size)'] };
    // The event in that minute is another's, none, or the asker's: before the range and in it.
    expect(await world.same('s', { ...sum, where: ['city:eq:a'], ...from(12, 10) })).toBe(true);
    expect(await world.same('s', { ...sum, where: ['city:ne:b'], ...from(12, 10) })).toBe(true);
    expect(await world.same('s', { ...sum, by: 'city', ...from(30, 10) })).toBe(true);
    expect(await world.same('s', { ...sum, every: '1m', by: 'city', ...from(11, 10) })).toBe(true);
    expect(await world.same('s', { ...sum, where: ['city:eq:b'], ...from(12, 18) })).toBe(false);
    expect(await world.same('s', { ...sum, where: ['city:eq:b'], ...from(12, 10) })).toBe(false);
    expect(await world.same('s', { ...sum, by: 'city', ...from(12, 17) })).toBe(false);
    const to = (ago: number, ms: number) => ({ ...from(20, 0), to: String(minute(ago) + ms) });
    expect(await world.same('s', { ...sum, where: ['city:eq:a'], ...to(2, 20) })).toBe(true);
    expect(await world.same('s', { ...sum, where: ['city:eq:c'], ...to(2, 20) })).toBe(false);
    expect(await world.same('s', { ...sum, where: ['city:eq:c'], ...to(2, 17) })).toBe(false);
    // An hour more than memory reaches back.
    expect(await world.same('s', { ...sum, where: ['city:eq:a'], ...from(181, 10) })).toBe(false);
  });

  it('count a batch once that is sent again, and late events where they belong', async () => {
    await world.define('s', STREAM, ROLLUPS);
    const events = [event('a', 1), event('a', 90), event('a', 500)];
    await world.send('s', events);
    await world.warm('s', last(100));
    await world.send('s', events);
    await world.send('s', [event('a', 91), event('a', 501)]);
    expect(await world.same('s', { every: '10m', by: 'city', ...last(100) })).toBe(true);
    expect(await world.same('s', { every: '1h', from: String(minute(600)), to: String(minute(0)) })).toBe(
      false,
    );
  });

  it('are read again behind a restart, and are the same', async () => {
    await world.define('s', STREAM, ROLLUPS);
    await world.send('s', [event('a', 1), event('b', 2)]);
    await world.warm('s', last(60));
    await world.stop();
    await world.start();
    await world.send('s', [event('a', 1)]);
    await world.warm('s', last(60));
    expect(await world.same('s', { by: 'city', every: '1m', ...last(60) })).toBe(true);
  });

  it('are forgotten when a replay has put other tables into the places of the rollups', async () => {
    await world.define('s', STREAM, ROLLUPS);
    await world.send('s', [event('a', 1), event('b', 2)]);
    const request = { by: 'city', fn: ['count', 'sum(size)'], ...last(60) };
    await world.warm('s', request);
    const { id } = await world.replays.start(TENANT, 's', {});
    const asked = (async () => {
      for (let i = 0; i < 30; i += 1) await world.stats.ask(TENANT, 's', request);
    })();
    expect((await world.runs.wait(TENANT, id, 60_000)).state).toBe('done');
    await asked;
    await world.send('s', [event('a', 1)]);
    await world.warm('s', request);
    expect(await world.same('s', request)).toBe(true);
  });

  it('of two tenants with the same names are two things', async () => {
    for (const tenant of [TENANT, OTHER]) await world.define('s', STREAM, ROLLUPS, tenant);
    await world.send('s', [event('a', 1)]);
    await world.send('s', [event('a', 1), event('a', 2)], { tenant: OTHER });
    const request = { by: 'city', ...last(60) };
    await world.warm('s', request);
    await world.warm('s', request, OTHER);
    expect((await world.stats.ask(TENANT, 's', request)).rowsJson).toBe('[{"city":"a","count":1}]');
    expect((await world.stats.ask(OTHER, 's', request)).rowsJson).toBe('[{"city":"a","count":2}]');
    expect(await world.hot.holdings(OTHER)).toHaveLength(1);
    await world.hot.erase(OTHER);
    expect(await world.hot.holdings(OTHER)).toHaveLength(0);
    expect(await world.hot.holdings(TENANT)).toHaveLength(1);
    expect(await world.same('s', request)).toBe(true);
  });

  it('show a key no more than its row filter lets it see', async () => {
    await world.define('s', STREAM, ROLLUPS);
    await world.send('s', [event('a', 1), event('b', 1), event('b', 2)]);
    const request = { by: 'city', ...last(60) };
    await world.warm('s', request);
    const filtered = { ...request, rowFilter: ['city:eq:b'] };
    expect(await world.same('s', filtered)).toBe(true);
    expect((await world.stats.ask(TENANT, 's', filtered)).rowsJson).toBe('[{"city":"b","count":2}]');
    const nothing = { ...last(60), where: ['city:eq:a'], rowFilter: ['city:eq:b'] };
    expect((await world.stats.ask(TENANT, 's', nothing)).rowsJson).toBe('[{"count":0}]');
  });

  it('say nothing of a partition that they are behind in', async () => {
    await world.define('s', { ...STREAM, partitions: 3 }, ROLLUPS);
    await world.send('s', [event('a', 1)], { partition: 2 });
    await world.warm('s', last(60));
    for (const partition of [0, 1, 2, 1]) {
      await world.send('s', [event('a', 1)], { partition });
      expect(await world.same('s', last(60))).toBe(true);
    }
  });
});
