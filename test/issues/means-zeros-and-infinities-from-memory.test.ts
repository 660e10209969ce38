/**
 * Three numbers that depended on where they were computed. The mean of a decimal with 26 digits behind the point was divided in
 * memory by `10 ** 26`, which JavaScript makes 9.999999999999999e25. Which of the zeros is the least depended on who came
 * first, in memory, in a rollup and among the events. And a sum that is infinite is shown as null, but the engine
 * orders it as the greatest, memory ordered it as none.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { StreamName } from '../../src/base/brand.ts';
import { createStats } from '../../src/stats/index.ts';
import { TENANT, World } from '../hot/world.ts';

const SCALES = [26, 29, 34, 36];

let world: World;
beforeEach(async () => {
  world = await World.open();
  await world.define(
    's',
    {
      fields: {
        ...{ id: 'uint64', at: 'timestamp', city: 'string', score: 'float64' },
        ...Object.fromEntries(
          SCALES.map((scale) => [`d${scale}`, { type: 'decimal', precision: 38, scale }]),
        ),
      },
      ...{ eventId: 'id', eventTime: 'at' },
    },
    {
      by_city: {
        ...{ by: ['city'], every: '1m' },
        measures: Object.fromEntries(
          [...SCALES.map((scale) => `avg(d${scale})`), 'sum(score)', 'min(score)', 'max(score)'].map(
            (text, i) => [`m${i}`, text],
          ),
        ),
      },
    },
  );
});
afterEach(() => world.close());

let id = 0;
const from = (): number => Math.floor(world.clock.now() / 60_000) * 60_000 - 120_000;

/** Texts, since JavaScript does not write a negative zero. */
async function send(scores: readonly (readonly [city: string, score: string])[]): Promise<void> {
  const lines = scores.map(([city, score]) => {
    id += 1;
    const decimals = SCALES.map((scale) => `"d${scale}":"0.${'0'.repeat(scale - 6)}${700_123 + id}"`);
    return `{"id":${id},"at":${from() + id},"city":"${city}","score":${score},${decimals.join(',')}}\n`;
  });
  const bytes = Buffer.from(lines.join(''));
  const key = { tenant: TENANT, stream: 's' as StreamName, partition: 0 };
  const start = world.log.state(key).end;
  await world.log.append(key, { chunks: [bytes], count: lines.length, bytes: bytes.byteLength });
  await world.ingest.applied(key, start, (start + lines.length) as typeof start);
}

it('means of finely divided decimals, least and greatest zeros, and sums beyond all numbers are the same everywhere', async () => {
  await send([
    ...(['0.0', '-0.0', '-0.0'].map((score) => ['a', score]) as [string, string][]),
    ...(['-0.0', '0.0', '0.0'].map((score) => ['b', score]) as [string, string][]),
    ['d', '5'],
  ]);
  const request = { by: 'city', from: String(from()) };
  await world.warm('s', { ...request, fn: ['count'] });
  const means = { ...request, fn: SCALES.map((scale) => `avg(d${scale})`), order: 'city' };
  expect(await world.same('s', means)).toBe(true);

  const { engine, catalog, log, ingest, clock } = world;
  const setting = catalog.setting.bind(catalog);
  const bare = { stream: catalog.stream.bind(catalog), rollups: () => [], setting };
  const events = createStats({ engine, catalog: bare, log, ingest, clock });
  const zeros = { ...request, fn: ['min(score)', 'max(score)'], where: ['city:in:a,b'], order: 'city' };
  expect(await world.same('s', zeros)).toBe(true);
  const rows = '[{"city":"a","min(score)":0,"max(score)":0},{"city":"b","min(score)":0,"max(score)":0}]';
  expect((await world.stats.ask(TENANT, 's', zeros)).rowsJson).toBe(rows);
  expect((await events.ask(TENANT, 's', zeros)).rowsJson).toBe(rows);

  await send([
    ['c', '1.5e308'],
    ['c', '1.5e308'],
  ]);
  const sums = { ...request, fn: ['sum(score)'] };
  await world.same('s', sums);
  expect((await world.stats.ask(TENANT, 's', sums)).rowsJson).toMatch(
    /^\[\{"city":"c","sum\(score\)":null\}/,
  );
});
