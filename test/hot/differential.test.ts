import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StatsRequest } from '../../src/stats/index.ts';
import { TENANT, World } from './world.ts';

const STREAM = {
  fields: {
    id: 'uint64',
    at: 'timestamp',
    city: 'string',
    kind: { type: 'enum', values: ['a', 'b', 'c'], optional: true },
    user: 'uuid',
    address: { type: 'ip', optional: true },
    day: { type: 'timestamp', optional: true },
    price: { type: 'decimal', precision: 20, scale: 4, optional: true },
    ok: 'bool',
    code: 'int32',
    big: { type: 'uint64', optional: true },
    size: { type: 'int64', optional: true },
    score: { type: 'float64', optional: true },
    note: { type: 'string', optional: true },
  },
  eventId: 'id',
  eventTime: 'at',
  partitions: 2,
};

const MEASURES = Object.fromEntries(
  [
    'count()',
    ...['code', 'big', 'size', 'price', 'score'].flatMap((field) => [
      `avg(${field})`,
      `min(${field})`,
      `max(${field})`,
    ]),
    ...['min(note)', 'max(note)', 'min(day)', 'max(day)', 'max(at)'],
  ].map((text, index) => [`m${index}`, text]),
);
const ROLLUPS = {
  total: { by: [], every: '1m', measures: MEASURES },
  by_city: { by: ['city'], every: '10s', measures: MEASURES },
  by_many: { by: ['kind', 'user', 'ok'], every: '1m', measures: MEASURES },
  by_odd: { by: ['address', 'day', 'price', 'code', 'big'], every: '5m', measures: MEASURES },
};

const CITIES = ['', 'Oslo', 'Łódź', '東京', 'x"y\\', '😀', '\uffee', 'a/b', 'ab', 'null', '\u2028\u0001'];
const USERS = ['61f0c404-5cb3-11e7-907b-a6006ad3dba0', '00000000-0000-0000-0000-000000000001'];
const ADDRESSES = [
  '10.0.0.1',
  '::ffff:10.0.0.2',
  '2001:db8::1',
  '::1',
  '1:0:0:2::3',
  'fe80:0:0:1::',
  '::1.2.3.4',
];
const PRICES = ['0', '-0.5', '12.3400', '1234567890123456.7891', '-9999999999999999.9999'];
const BIGS = ['0', '7', '9007199254740993', '18446744073709551615'];
const SIZES = ['-9223372036854775808', '-3', '0', '44', '9007199254740992', '9223372036854775807'];

const MINUTES = 100;
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { freq: 3 });
const eventArbitrary = fc.record({
  ago: fc.oneof(fc.integer({ min: 0, max: 120 * 60 }), fc.integer({ min: 0, max: 400 })),
  ms: fc.integer({ min: 0, max: 999 }),
  city: fc.constantFrom(...CITIES),
  kind: optional(fc.constantFrom('a', 'b', 'c')),
  user: fc.constantFrom(...USERS),
  address: optional(fc.constantFrom(...ADDRESSES)),
  day: optional(
    fc.constantFrom('2024-02-29T00:00:00Z', '1969-12-31T23:59:59.999Z', '2024-05-01T12:00:00.120Z'),
  ),
  price: optional(fc.constantFrom(...PRICES)),
  ok: fc.boolean(),
  code: fc.constantFrom(-2_147_483_648, -1, 0, 5, 2_147_483_647),
  big: optional(fc.constantFrom(...BIGS)),
  size: optional(fc.constantFrom(...SIZES)),
  // In eighths: the sums are exact whatever their order.
  score: optional(fc.integer({ min: -80_000, max: 80_000 }).map((eighths) => eighths / 8)),
  note: optional(fc.constantFrom(...CITIES)),
});

const FUNCTIONS = [
  ...['count', 'rate'],
  ...['sum', 'avg', 'min', 'max'].flatMap((fn) =>
    ['code', 'big', 'size', 'price', 'score'].map((field) => `${fn}(${field})`),
  ),
  ...['min(note)', 'max(note)', 'min(day)', 'max(day)', 'max(at)'],
];
const anyOf = (field: string, values: readonly string[]) =>
  fc.oneof(
    fc.constantFrom(...values).map((value) => `${field}:eq:${value}`),
    fc.constantFrom(...values).map((value) => `${field}:ne:${value}`),
    fc.subarray([...values], { minLength: 1 }).map((some) => `${field}:in:${some.join(',')}`),
    fc.subarray([...values], { minLength: 1 }).map((some) => `${field}:nin:${some.join(',')}`),
  );
const ordered = (field: string, values: readonly string[]) =>
  fc
    .tuple(fc.constantFrom('gt', 'gte', 'lt', 'lte'), fc.constantFrom(...values))
    .map(([op, value]) => `${field}:${op}:${value}`);
const both = (field: string, values: readonly string[]) =>
  fc.oneof(anyOf(field, values), ordered(field, values));

/** Dimensions of one rollup, so that it can answer, and conditions on them. */
const ABOUT: readonly (readonly [string[], fc.Arbitrary<string>[]])[] = [
  [[], []],
  [
    ['city'],
    [
      both(
        'city',
        CITIES.filter((city) => city !== ''),
      ),
    ],
  ],
  [
    ['kind', 'user', 'ok'],
    [
      anyOf('kind', ['a', 'b', 'c']),
      anyOf('user', [...USERS, USERS[0]!.toUpperCase()]),
      anyOf('ok', ['true', 'false']),
    ],
  ],
  [
    ['address', 'day', 'price', 'code', 'big'],
    [
      anyOf('address', [...ADDRESSES, '2001:DB8:0:0:0:0:0:1', '10.0.0.2', '0:0:0:0:0:ffff:a00:1']),
      both('day', ['2024-02-29', '-62100000', '1709164800000', '2024-05-01T14:00:00.120+02:00', '-1']),
      both('price', [...PRICES, '-0', '12.34']),
      both('code', ['-1', '0', '+5']),
      both('big', BIGS),
    ],
  ],
];

const question = (nowMs: () => number): fc.Arbitrary<StatsRequest> =>
  fc.constantFrom(...ABOUT).chain(([dimensions, conditions]) =>
    fc
      .record({
        fn: fc.uniqueArray(fc.constantFrom(...FUNCTIONS), { minLength: 1, maxLength: 4 }),
        by: fc.subarray(dimensions),
        where:
          conditions.length === 0 ? fc.constant([]) : fc.array(fc.oneof(...conditions), { maxLength: 3 }),
        from: fc.integer({ min: 1, max: MINUTES / 5 }),
        length: fc.option(fc.integer({ min: 1, max: MINUTES / 5 }), { nil: undefined }),
        every: fc.option(fc.constantFrom('1m', '5m', '7m', '1h', '1d'), { nil: undefined }),
        tz: fc.constantFrom('UTC', 'Asia/Kathmandu', 'Australia/Lord_Howe'),
        limit: fc.option(fc.constantFrom('1', '3', '1000'), { nil: undefined }),
        order: fc.nat(),
        // From within a bucket, as what is counted from now.
        within: fc.oneof({ arbitrary: fc.constant(0), weight: 4 }, fc.integer({ min: 1, max: 299_999 })),
        descending: fc.boolean(),
      })
      .map(({ fn, by, where, from, length, every, tz, limit, order, within, descending }) => {
        const first = Math.floor(nowMs() / 300_000) * 300_000 - from * 300_000;
        const columns = [...fn, ...by, ...(every ? ['time'] : [])];
        return {
          ...{ fn, where, tz, from: String(first + (length === 1 ? 0 : within)) },
          ...(length === undefined ? {} : { to: String(first + length * 300_000) }),
          ...(by.length > 0 ? { by: by.join(',') } : {}),
          ...(every === undefined ? {} : { every }),
          ...(limit === undefined ? {} : { limit }),
          ...(order % 2 === 0 ? { order: `${descending ? '-' : ''}${columns[order % columns.length]}` } : {}),
        };
      }),
  );

/** More than come to memory one by one. */
const MANY = 600;

let world: World;
beforeAll(async () => {
  world = await World.open();
});
afterAll(() => world.close());

describe('an answer from memory', () => {
  it('is the same, to the last digit, as the one of the engine', async () => {
    await world.define('s', STREAM, ROLLUPS);
    const events = fc
      .sample(eventArbitrary, { numRuns: 900 + MANY, seed: 11 })
      .map(({ ago, ms, ...event }, id) => ({ ...event, id, at: world.clock.now() - ago * 1_000 - ms }));
    const many = events.splice(900);
    const rounds = 8;
    const asked = fc.sample(
      question(() => world.clock.now()),
      { numRuns: 20 * rounds, seed: 12 },
    );
    let fromMemory = 0;
    for (let round = 0; round < rounds; round += 1) {
      const some = events.filter((_, index) => index % rounds === round);
      // Half of them come twice, in another batch.
      await world.send('s', some.slice(0, 40), { partition: round % 2 });
      await world.send('s', some.slice(20), { partition: 0 });
      // They come to memory grouped.
      if (round === 3) await world.send('s', many, { partition: 1 });
      if (round === 1) for (const { 0: by } of ABOUT) await world.warm('s', { by: by.join(','), ...span() });
      for (const request of asked.slice(round * 20, round * 20 + 20)) {
        await world.same('s', request);
        // One that begins within a bucket makes its events worth keeping when it is asked again.
        for (let again = 0; again < 3 && Number(request.from) % 60_000 !== 0; again += 1) {
          await world.stats.ask(TENANT, 's', request);
          await world.hot.settled();
        }
        if (await world.same('s', request)) fromMemory += 1;
      }
      world.clock.atMs += 47_000;
    }
    expect(world.failures).toEqual([]);
    expect(world.cold).toEqual([]);
    // The comparison would be idle if memory were never used.
    expect(fromMemory).toBeGreaterThan(asked.length * 0.8);
  }, 300_000);
});

const span = () => {
  const from = Math.floor(world.clock.now() / 300_000) * 300_000 - 300_000;
  return { from: String(from) };
};
