import { afterEach, describe, expect, it } from 'vitest';
import { parseRollup } from '../../src/define/index.ts';
import { EVENTS_OF_A_BUCKET_MAX } from '../../src/hot/read-events.ts';
import type { Engine } from '../../src/store/index.ts';
import { around } from '../replay/system.ts';
import { OTHER, TENANT, World } from './world.ts';

const STREAM = {
  fields: { id: 'uint64', at: 'timestamp', city: 'string', size: 'int64' },
  eventId: 'id',
  eventTime: 'at',
};
const BY_CITY = { by: ['city'], every: '1m', measures: { n: 'count()', size: 'sum(size)' } };

let world: World;
afterEach(() => world.close());

const minute = (ago: number): number => Math.floor(world.clock.now() / 60_000) * 60_000 - ago * 60_000;
const last = (minutes: number) => ({ from: String(minute(minutes)), to: String(minute(-1)) });
let nextId = 0;
const event = (city: string, ago: number): object => ({ id: nextId++, at: minute(ago) + 5, city, size: 3 });
const many = (count: number, minutes: number, name = 'key') =>
  Array.from({ length: count }, (_, i) => event(`${name} ${i}`, i % minutes));

describe('memory for recent buckets', () => {
  it('is bounded: the oldest buckets go, what is left is right, and older questions go to the engine', async () => {
    const bytesMax = 400_000;
    world = await World.open({ bytesMax });
    await world.define('s', STREAM, { by_city: BY_CITY });
    await world.send('s', many(4_000, 60));
    await world.warm('s', last(1));
    expect(await world.same('s', { by: 'city', ...last(1) })).toBe(true);
    expect(await world.same('s', { where: ['city:eq:key 59'], ...last(60) })).toBe(false);
    for (let i = 0; i < 5; i += 1) {
      await world.send('s', many(500, 3, `more ${i}`));
      expect(world.hot.figures().bytes).toBeLessThanOrEqual(bytesMax);
      await world.same('s', { every: '1m', ...last(3) });
    }
  });

  it('of a tenant within his share is not touched by another with too many keys', async () => {
    world = await World.open({ bytesMax: 300_000 });
    for (const tenant of [TENANT, OTHER]) await world.define('s', STREAM, { by_city: BY_CITY }, tenant);
    await world.send('s', many(50, 60));
    await world.warm('s', last(60));
    for (let i = 0; i < 4; i += 1) {
      await world.send('s', many(2_000, 30, `${i}`), { tenant: OTHER });
      await world.stats.ask(OTHER, 's', last(1));
      await world.hot.settled();
      expect(world.hot.figures().bytes).toBeLessThanOrEqual(300_000);
      expect(await world.same('s', { by: 'city', ...last(60) })).toBe(true);
    }
  });

  it('is given up for a while by a rollup of which not even one bucket fits', async () => {
    world = await World.open({ bytesMax: 20_000 });
    await world.define('s', STREAM, { by_city: BY_CITY });
    await world.send('s', many(1_000, 1));
    expect(await world.same('s', last(5))).toBe(false);
    await world.hot.settled();
    expect(await world.same('s', last(5))).toBe(false);
    expect(world.cold[0]).toContain('MILLRACE_HOT_MEMORY');
    expect(world.hot.figures()).toMatchObject({ bytes: 0, hot: 0, cold: 1 });
  });

  it('has the events of the bucket in which a range begins up to a number of them, and leaves more to the engine', async () => {
    world = await World.open();
    await world.define('s', STREAM, { by_city: BY_CITY });
    const those = (count: number) => Array.from({ length: count }, (_, i) => event(`key ${i % 10}`, 1));
    await world.send('s', those(EVENTS_OF_A_BUCKET_MAX));
    const cutting = { from: String(minute(1) + 3), to: String(minute(-1)) };
    const answers = async (): Promise<boolean> => {
      let isFromMemory = false;
      for (let i = 0; i < 6; i += 1) {
        isFromMemory = await world.same('s', cutting);
        await world.hot.settled();
      }
      return isFromMemory;
    };
    await world.warm('s', last(2));
    expect(await answers()).toBe(true);
    await world.send('s', those(1));
    world.clock.atMs += 11_000;
    expect(await answers()).toBe(false);
    expect(await world.same('s', last(2))).toBe(true);
    expect(world.failures).toEqual([]);
  });

  it('0 keeps nothing', async () => {
    world = await World.open({ bytesMax: 0 });
    await world.define('s', STREAM, { by_city: { ...BY_CITY, hot: '1h' } });
    await world.send('s', many(10, 1));
    expect(await world.same('s', last(5))).toBe(false);
    await world.hot.settled();
    expect(await world.same('s', last(5))).toBe(false);
    expect(world.hot.figures()).toMatchObject({ bytes: 0, hot: 0, cold: 0 });
  });
});

describe('a definition', () => {
  it('says how far back its rollup is kept from the start on, or that it never is', async () => {
    world = await World.open();
    await world.define('s', STREAM, { by_city: { ...BY_CITY, hot: '10m' } });
    await world.send('s', [event('a', 1), event('a', 9), event('a', 15)]);
    await world.hot.settled();
    expect(await world.same('s', last(9))).toBe(true);
    expect(await world.same('s', last(30))).toBe(false);
    await world.define('t', STREAM, { never: { ...BY_CITY, hot: false } });
    await world.send('t', [event('a', 1)]);
    for (let i = 0; i < 3; i += 1) {
      expect(await world.same('t', last(9))).toBe(false);
      await world.hot.settled();
    }
  });

  it('of another version is another rollup', async () => {
    world = await World.open();
    await world.define('s', STREAM, { by_city: BY_CITY });
    await world.send('s', [event('a', 1), event('b', 1)]);
    await world.warm('s', last(9));
    const stream = world.catalog.stream(TENANT, 's')!.definition;
    const next = parseRollup('by_city', { ...BY_CITY, from: 's', measures: { n: 'count()' } }, () => stream);
    await world.ingest.exclusively(TENANT, stream.name, async () => {
      await world.rebuild(stream, next);
    });
    expect(await world.same('s', last(9))).toBe(false);
    await world.send('s', [event('a', 1)]);
    await world.warm('s', last(9));
    expect(await world.same('s', { by: 'city', ...last(9) })).toBe(true);
    expect(world.hot.figures().hot).toBe(1);
  });
});

describe('trouble', () => {
  it('while batches come as the rollup is read, each is in it once', async () => {
    world = await World.open();
    await world.define('s', { ...STREAM, partitions: 2 }, { by_city: BY_CITY });
    const request = { by: 'city', fn: ['count', 'sum(size)'], ...last(60) };
    let isOver = false;
    const sending = [0, 1].map(async (partition) => {
      for (let i = 0; i < 12; i += 1) await world.send('s', many(20, 10), { partition });
    });
    const over = Promise.all(sending).then(() => {
      isOver = true;
    });
    while (!isOver) {
      await world.stats.ask(TENANT, 's', request);
      await world.hot.settled();
      // As after a repair: everything is read again.
      world.ingest.rollupsRewritten(TENANT, 's' as never);
    }
    await over;
    await world.warm('s', request);
    expect(await world.same('s', request)).toBe(true);
    expect((await world.stats.ask(TENANT, 's', last(60))).rowsJson).toBe('[{"count":480}]');
  });

  it('in reading a batch’s rows costs the memory of the rollup, and ingest nothing', async () => {
    let fails = false;
    const wrapEngine = (engine: Engine): Engine =>
      around(engine, {
        query: (statement, format, limits) =>
          fails && statement.text.startsWith('SELECT toUInt32(')
            ? Promise.reject(new Error('no'))
            : engine.query(statement, format, limits),
      });
    world = await World.open({ wrapEngine });
    await world.define('s', STREAM, { by_city: BY_CITY });
    await world.send('s', [event('a', 1)]);
    await world.warm('s', last(9));
    fails = true;
    await world.send('s', [event('a', 1)]);
    expect(await world.same('s', last(9))).toBe(false);
    fails = false;
    expect(world.cold.length).toBeGreaterThan(0);
    await world.warm('s', last(9));
    await world.send('s', [event('a', 1)]);
    expect(await world.same('s', last(9))).toBe(true);
  });
});
