/**
 * The memory of a rollup kept the stream's definition of the day on which it was read. When a measured field became optional,
 * which needs no new version of the rollup, the rows of a batch could not be read any more wherever the field was missing:
 * after each such batch everything was read again, and after some in a row the rollup was given up.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseStream } from '../../src/define/index.ts';
import { StoreTables } from '../../src/store/index.ts';
import { TENANT, World } from '../hot/world.ts';

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

const stream = (size: object) => ({
  fields: { id: 'uint64', at: 'timestamp', city: 'string', size },
  ...{ eventId: 'id', eventTime: 'at' },
});

it('a rollup stays in memory when a field that it sums may be missing from now on', async () => {
  const before = stream({ type: 'int64' });
  await world.define('s', before, {
    by_city: { by: ['city'], every: '1m', measures: { size: 'avg(size)' } },
  });
  const at = Math.floor(world.clock.now() / 60_000) * 60_000 - 60_000;
  const request = { fn: ['count', 'avg(size)'], by: 'city', from: String(at) };
  await world.send('s', [{ id: 1, at, city: 'a', size: 4 }]);
  await world.warm('s', request);
  const after = parseStream('s', stream({ type: 'int64', optional: true }));

  await new StoreTables(world.engine).widenStream(TENANT, parseStream('s', before), after);
  await world.catalog.put(TENANT, after);
  await world.send('s', [{ id: 2, at, city: 'a' }]);
  await world.same('s', request);
  await world.hot.settled();
  expect(await world.same('s', request)).toBe(true);
  for (let id = 3; id < 9; id += 1) {
    await world.send('s', [{ id, at, city: 'a', ...(id % 2 === 0 ? { size: id } : {}) }]);
    expect(await world.same('s', request)).toBe(true);
  }
  expect(world.cold).toEqual([]);
  expect((await world.stats.ask(TENANT, 's', request)).rowsJson).toBe(
    '[{"city":"a","count":8,"avg(size)":5.5}]',
  );
});
