import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Offset } from '../../src/base/brand.ts';
import type { StatsRequest } from '../../src/stats/index.ts';
import { eventsTable } from '../../src/store/index.ts';
import { rollup, stream, visit, World } from './fixture.ts';

let world: World;
const T0 = Date.parse('2024-03-30T22:00:00Z');
const HOUR = 3_600_000;
const minutes = rollup('minutes', ['kind'], 60);
const frequent = rollup('frequent', [], 60, [
  { fn: 'top', field: 'addr', k: 10 },
  { fn: 'unique', field: 'addr' },
]);

beforeAll(async () => {
  world = await World.open();
  await world.insert([
    visit({
      id: 1n,
      atMs: T0,
      kind: 'a',
      size: 2n ** 62n,
      price: 10_000n,
      addr: '10.0.0.1',
      score: 8,
      small: 7,
    }),
    visit({
      id: 2n,
      atMs: T0 + HOUR,
      kind: 'a',
      size: 2n ** 62n,
      price: 5_001n,
      addr: '10.0.0.1',
      score: 24,
    }),
    visit({
      id: 3n,
      atMs: T0 + HOUR + 1,
      kind: 'b',
      size: 2n ** 62n,
      addr: '2001:db8::1',
      seenMs: T0,
      city: 'Bonn',
    }),
    visit({ id: 4n, atMs: T0 + 26 * HOUR, big: 2n ** 64n - 1n, city: "O'Hare: 1,2", ok: false }),
  ]);
  await world.tables.buildRollup(world.tenant, stream, minutes, 1);
  await world.tables.buildRollup(world.tenant, stream, frequent, 1);
});

afterAll(() => world.close());

async function ask(request: StatsRequest, rollups = [minutes, frequent]) {
  const answer = await world.stats(rollups).ask(world.tenant, 'visits', request);
  expect(answer.rowCount).toBe((JSON.parse(answer.rowsJson) as unknown[]).length);
  return answer;
}
const rows = async (request: StatsRequest): Promise<string> => (await ask(request)).rowsJson;

describe('stats', () => {
  it('without anything count everything, from the earliest event until now', async () => {
    const answer = await ask({});
    expect(answer.rowsJson).toBe('[{"count":4}]');
    expect(answer.columns).toEqual([{ name: 'count', type: 'uint64' }]);
    expect(answer.meta).toMatchObject({
      source: 'rollup frequent',
      from: '2024-03-30T22:00:00.000Z',
      to: '2025-01-01T00:00:00.000Z',
      cached: false,
    });
  });

  it('keep every digit of sums beyond 64 bits and of decimals', async () => {
    expect(await rows({ fn: ['sum(size)', 'sum(price)', 'max(big)', 'avg(score)', 'min(size)'] })).toBe(
      '[{"sum(size)":13835058055282163712,"sum(price)":1.5001,"max(big)":18446744073709551615,"avg(score)":2,"min(size)":4611686018427387904}]',
    );
  });

  it('of nothing are zero for counts and sums, null for the rest', async () => {
    expect(
      await rows({
        fn: [
          'count',
          'sum(size)',
          'rate',
          'unique(city)',
          'avg(size)',
          'min(seen)',
          'p50(score)',
          'top(city)',
        ],
        from: '2020-01-01',
        to: '2020-01-02',
      }),
    ).toBe(
      '[{"count":0,"sum(size)":0,"rate":0,"unique(city)":0,"avg(size)":null,"min(seen)":null,"p50(score)":null,"top(city)":[]}]',
    );
  });

  it('fill empty buckets, with the first and the last cut to the range', async () => {
    expect(
      await rows({
        fn: ['count', 'rate', 'max(price)'],
        from: String(T0 - 1_800_000),
        to: String(T0 + 2 * HOUR),
        every: '1h',
      }),
    ).toBe(
      '[{"time":"2024-03-30T21:00:00.000Z","count":0,"rate":0,"max(price)":null},' +
        `{"time":"2024-03-30T22:00:00.000Z","count":1,"rate":${1 / 3600},"max(price)":1},` +
        `{"time":"2024-03-30T23:00:00.000Z","count":2,"rate":${2 / 3600},"max(price)":0.5001}]`,
    );
  });

  it('divide the rate of a bucket by the seconds that the range leaves of it', async () => {
    expect(
      await rows({ fn: ['rate'], from: '2024-03-30', to: '2024-04-01', every: '1d', tz: 'Europe/Berlin' }),
    ).toBe(
      `[{"time":"2024-03-29T23:00:00.000Z","rate":${1 / 86_400}},{"time":"2024-03-30T23:00:00.000Z","rate":${2 / 82_800}}]`,
    );
  });

  it('fill the buckets of each combination of dimensions that occurs', async () => {
    const request = { by: 'kind', from: String(T0), to: String(T0 + 2 * HOUR), every: '1h' };
    expect(JSON.parse(await rows(request))).toEqual([
      { time: '2024-03-30T22:00:00.000Z', kind: 'a', count: 1 },
      { time: '2024-03-30T22:00:00.000Z', kind: 'b', count: 0 },
      { time: '2024-03-30T23:00:00.000Z', kind: 'a', count: 1 },
      { time: '2024-03-30T23:00:00.000Z', kind: 'b', count: 1 },
    ]);
    expect(JSON.parse(await rows({ ...request, order: '-count,-time,-kind', limit: '3' }))).toEqual([
      { time: '2024-03-30T23:00:00.000Z', kind: 'b', count: 1 },
      { time: '2024-03-30T23:00:00.000Z', kind: 'a', count: 1 },
      { time: '2024-03-30T22:00:00.000Z', kind: 'a', count: 1 },
    ]);
    expect(await rows({ ...request, where: ['kind:eq:c'] })).toBe('[]');
  });

  it('without buckets give the greatest first, nulls last', async () => {
    expect(await rows({ by: 'kind' })).toBe(
      '[{"kind":"a","count":2},{"kind":"b","count":1},{"kind":null,"count":1}]',
    );
    expect(await rows({ fn: ['max(price)'], by: 'kind', order: 'max(price)', limit: '2' })).toBe(
      '[{"kind":"a","max(price)":1},{"kind":"b","max(price)":null}]',
    );
  });

  it('write each kind of value as JSON', async () => {
    expect(
      await rows({
        by: 'addr,ok,seen,price',
        where: ['id:lte:3', 'small:ne:7', 'ok:eq:true'],
        fn: ['max(seen)'],
        order: 'addr',
      }),
    ).toBe(
      '[{"addr":"10.0.0.1","ok":true,"seen":null,"price":0.5001,"max(seen)":null},' +
        '{"addr":"2001:db8::1","ok":true,"seen":"2024-03-30T22:00:00.000Z","price":null,"max(seen)":"2024-03-30T22:00:00.000Z"}]',
    );
    const answer = await ask({ fn: ['top(addr,2)', 'top(addr,1)', 'unique(addr)'] });
    expect(answer.rowsJson).toBe(
      '[{"top(addr,2)":[{"value":"10.0.0.1","count":2,"error":0},{"value":"2001:db8::1","count":1,"error":0}],' +
        '"top(addr,1)":[{"value":"10.0.0.1","count":2,"error":0}],"unique(addr)":2}]',
    );
    expect(answer.meta.source).toBe('rollup frequent');
    expect(await rows({ fn: ['top(seen,1)'] })).toBe(
      '[{"top(seen,1)":[{"value":"2024-03-30T22:00:00.000Z","count":1,"error":0}]}]',
    );
  });

  it.each([
    ['kind:eq:a', 2],
    ['kind:ne:a', 1],
    ['kind:nin:a,c', 1],
    ['kind:in:a,b', 3],
    ["city:eq:O'Hare: 1,2", 1],
    ["city:like:O'H%", 1],
    ['big:eq:18446744073709551615', 1],
    ['size:gte:4611686018427387904', 3],
    ['size:gt:4611686018427387904', 0],
    ['price:eq:0.5001', 1],
    ['price:in:0.5001,1', 2],
    ['score:lt:3', 1],
    ['ok:eq:false', 1],
    ['addr:eq:10.0.0.1', 2],
    ['addr:in:2001:db8::1,10.0.0.1', 3],
    ['at:gte:2024-03-31T00:00:00Z', 1],
    ['seen:in:2024-03-30T22:00:00Z', 1],
    ['id:in:1,2', 2],
  ])('count the events that satisfy %s', async (where, count) => {
    expect(await rows({ where: [where] })).toBe(`[{"count":${count}}]`);
  });

  it('refuse a series with more rows than may be answered', async () => {
    await expect(
      ask({ by: 'id', every: '1m', from: String(T0), to: String(T0 + 26 * HOUR + 1) }, []),
    ).resolves.toMatchObject({ rowCount: 4 * 1_561 });
    await world.insert(
      Array.from({ length: 100 }, (_, index) => visit({ id: BigInt(1_000 + index), atMs: 0 })),
    );
    await expect(ask({ by: 'id', every: '1s', from: '0', to: '10000000' }, [])).rejects.toMatchObject({
      code: 'bad-question',
      issues: [{ path: 'by' }],
    });
  });

  it('know no stream that does not exist', async () => {
    await expect(world.stats().ask(world.tenant, 'nope', {})).rejects.toMatchObject({
      code: 'unknown-stream',
    });
  });

  it('say how fresh they are', async () => {
    const fresh = async () => (await ask({ from: '-1h' })).meta;
    expect(await fresh()).toMatchObject({ as_of: '2025-01-01T00:00:00.000Z', lag_ms: 0 });
    const now = world.clock.now();
    world.logState = { ...world.logState, end: 10 as Offset, newestAtMs: now - 500 };
    expect(await fresh()).toMatchObject({ as_of: null, lag_ms: 500 });
    world.ingestState = { ...world.ingestState, applied: 4 as Offset, appliedReceivedAtMs: now - 2_000 };
    expect(await fresh()).toMatchObject({ as_of: '2024-12-31T23:59:58.000Z', lag_ms: 2_000 });
    world.ingestState = { ...world.ingestState, applied: 9 as Offset };
    expect(await fresh()).toMatchObject({ as_of: '2024-12-31T23:59:58.000Z', lag_ms: 500 });
    world.ingestState = { ...world.ingestState, applied: 10 as Offset };
    expect(await fresh()).toMatchObject({ as_of: '2025-01-01T00:00:00.000Z', lag_ms: 0 });
  });

  it('count what a rollup still knows of events that the stream has forgotten', async () => {
    const forgetful = { ...stream, retention: { ...stream.retention, hotMs: 86_400_000 } };
    const everything = async () =>
      JSON.parse((await world.stats([minutes], forgetful).ask(world.tenant, 'visits', {})).rowsJson);
    await world.tables.buildRollup(world.tenant, stream, minutes, 1);
    const before = await everything();
    await world.engine.execute({ text: `TRUNCATE TABLE ${eventsTable(world.tenant, 'visits')}` });
    expect(await everything()).toEqual(before);
    expect(before[0].count).toBeGreaterThan(100);
  });
});
