/**
 * Sums of decimals were kept in 38 digits. Of a decimal that may have 38 digits itself, two of the greatest wrapped around
 * to a number that looked like any other; memory, which adds up without bounds, said another one.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { StreamName } from '../../src/base/brand.ts';
import { TENANT, World } from '../hot/world.ts';

let world: World;
beforeEach(async () => {
  world = await World.open();
  const wide = { type: 'decimal', precision: 38, scale: 2, optional: true };
  const fields = { id: 'uint64', at: 'timestamp', city: 'string', wide };
  await world.define(
    's',
    { fields, eventId: 'id', eventTime: 'at' },
    {
      by_city: {
        by: ['city'],
        every: '1m',
        measures: { total: 'sum(wide)', mean: 'avg(wide)', n: 'count()' },
      },
    },
  );
});
afterEach(() => world.close());

it('sums of the greatest decimals have every digit, from memory, from the engine and below zero', async () => {
  const most = `${'9'.repeat(36)}.99`;
  const from = Math.floor(world.clock.now() / 60_000) * 60_000 - 120_000;
  const values = [
    ...Array(50).fill(['up', `"${most}"`]),
    ...Array(30).fill(['down', `"-${most}"`]),
    ['up', 'null'],
  ];
  const lines = values.map(
    ([city, wide], i) => `{"id":${i},"at":${from + i},"city":"${city}","wide":${wide}}\n`,
  );
  const bytes = Buffer.from(lines.join(''));
  const key = { tenant: TENANT, stream: 's' as StreamName, partition: 0 };
  const start = world.log.state(key).end;
  await world.log.append(key, { chunks: [bytes], count: lines.length, bytes: bytes.byteLength });
  await world.ingest.applied(key, start, (start + lines.length) as typeof start);

  const request = { by: 'city', from: String(from), order: 'city' };
  await world.warm('s', { ...request, fn: ['count'] });
  expect(await world.same('s', { ...request, fn: ['sum(wide)', 'avg(wide)', 'count'] })).toBe(true);
  const { rowsJson } = await world.stats.ask(TENANT, 's', { ...request, fn: ['sum(wide)'] });
  const units = (10n ** 38n - 1n) * 50n;
  const text = (value: bigint) => `${value / 100n}.${String(value % 100n).replace(/0$/, '')}`;
  expect(rowsJson).toBe(
    `[{"city":"down","sum(wide)":-${text((10n ** 38n - 1n) * 30n)}},{"city":"up","sum(wide)":${text(units)}}]`,
  );
});
