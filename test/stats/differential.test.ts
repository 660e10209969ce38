import fc from 'fast-check';
import { parse, stringify } from 'lossless-json';
import { Temporal } from 'temporal-polyfill';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StatsRequest } from '../../src/stats/index.ts';
import { decimalText, rollup, stream, type Visit, World } from './fixture.ts';

const ROLLUPS = [
  rollup('total', [], 1),
  rollup('by_kind', ['kind'], 10),
  rollup('by_kind_city', ['kind', 'city'], 60),
  rollup('by_flag_hourly', ['ok', 'kind'], 3_600),
  rollup('quarters', ['city'], 900),
];

/** Around changes of the clock in several zones, so that days of 23, 24.5 and 25 hours are full of events. */
const ANCHORS = [
  '2024-03-31T00:00:00Z',
  '2024-10-27T00:30:00Z',
  '2017-10-15T03:00:00Z',
  '2024-04-06T15:00:00Z',
  '2024-02-29T12:00:00Z',
].map((text) => Date.parse(text));
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/Sao_Paulo',
  'Australia/Lord_Howe',
  'Asia/Kolkata',
  'Asia/Kathmandu',
];

const momentNear = fc
  .tuple(
    fc.constantFrom(...ANCHORS),
    fc.integer({ min: -200_000, max: 200_000 }),
    fc.integer({ min: 0, max: 999 }),
  )
  .map(([anchor, seconds, ms]) => anchor + seconds * 1_000 + ms);

const visitArbitrary: fc.Arbitrary<Omit<Visit, 'id'>> = fc.record({
  atMs: fc.oneof(
    momentNear,
    momentNear.map((at) => Math.floor(at / 900_000) * 900_000),
  ),
  kind: fc.option(fc.constantFrom('a', 'b', 'c')),
  city: fc.constantFrom('', 'Oslo', 'Łódź', 'Rio', '東京', 'x"y', '😀'),
  size: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  big: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  small: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  price: fc.option(fc.bigInt({ min: -(10n ** 20n) + 1n, max: 10n ** 20n - 1n })),
  score: fc.option(fc.integer({ min: -80_000, max: 80_000 })),
  ok: fc.boolean(),
  addr: fc.option(fc.constantFrom('10.0.0.1', '2001:db8::1')),
});

const FUNCTIONS = [
  'count',
  'rate',
  'sum(size)',
  'sum(big)',
  'sum(small)',
  'sum(price)',
  'sum(score)',
  'avg(price)',
  'avg(score)',
  'avg(size)',
  'min(size)',
  'max(size)',
  'max(price)',
  'max(big)',
  'min(city)',
  'unique(city)',
  'p50(score)',
  'p99.9(score)',
  'top(city,20)',
  'top(city,3)',
];

const question: fc.Arbitrary<StatsRequest & { readonly fromMs: number; readonly toMs: number }> = fc
  .record(
    {
      fn: fc.uniqueArray(fc.constantFrom(...FUNCTIONS), { minLength: 1, maxLength: 6 }),
      range: fc
        .tuple(
          fc.constantFrom(...ANCHORS),
          fc.integer({ min: -200_000_000, max: 200_000_000 }),
          fc.integer({ min: 1, max: 300_000_000 }),
          fc.constantFrom(1, 1_000, 60_000, 3_600_000),
        )
        .map(([anchor, shift, length, grain]) => {
          const fromMs = Math.floor((anchor + shift) / grain) * grain;
          return { fromMs, toMs: Math.max(fromMs + grain, Math.floor((fromMs + length) / grain) * grain) };
        }),
      every: fc.option(fc.constantFrom('15m', '1h', '7m', '30s', '1d', '2d', '1w', '1mo'), {
        nil: undefined,
      }),
      tz: fc.constantFrom(...ZONES),
      by: fc.constantFrom('', 'kind', 'city', 'kind,city', 'ok', 'kind,ok'),
      where: fc.subarray(
        ['kind:eq:a', 'city:in:Oslo,Rio,東京', 'ok:eq:true', 'kind:ne:b', 'small:gt:0', 'city:like:%o%'],
        {
          maxLength: 2,
        },
      ),
    },
    { requiredKeys: ['fn', 'range', 'every', 'tz', 'by', 'where'] },
  )
  .filter(({ every, range }) => every !== '30s' || range.toMs - range.fromMs < 86_400_000)
  .map(({ range, every, by, ...rest }) => ({
    ...rest,
    by,
    ...(every ? { every } : {}),
    ...range,
    from: String(range.fromMs),
    to: String(range.toMs),
    limit: '100000',
  }));

let world: World;
let visits: Visit[] = [];

beforeAll(async () => {
  world = await World.open();
  visits = fc
    .sample(visitArbitrary, { numRuns: 2_500, seed: 7 })
    .map((one, index) => ({ ...one, id: BigInt(index) }));
  await world.insert(visits);
  for (const one of ROLLUPS) await world.tables.buildRollup(world.tenant, stream, one, 1);
});

afterAll(() => world.close());

describe('an answer', () => {
  it('is the same from rollups, from events, and from a plain loop over the events', async () => {
    const withRollups = world.stats(ROLLUPS);
    const withoutRollups = world.stats();
    const sources = new Set<string>();
    await fc.assert(
      fc.asyncProperty(question, async ({ fromMs, toMs, ...request }) => {
        const [fast, raw] = await Promise.all([
          withRollups.ask(world.tenant, stream.name, request),
          withoutRollups.ask(world.tenant, stream.name, request),
        ]);
        sources.add(fast.meta.source);
        expect(raw.meta.source).toBe('events');
        expect(fast.rowsJson).toBe(raw.rowsJson);
        const rows = parse(fast.rowsJson) as Record<string, unknown>[];
        const exact = rows.map((row) => pick(row, request));
        expect(new Set(exact)).toEqual(new Set(bruteForce(request, fromMs, toMs)));
        expect(exact.length).toBe(new Set(exact).size);
      }),
      { numRuns: 100, seed: 42 },
    );
    // The comparison would be idle if the rollups were never used.
    expect(sources.size).toBeGreaterThan(6);
  });
});

const EXACT = new Set([
  'count',
  'sum(size)',
  'sum(big)',
  'sum(small)',
  'sum(price)',
  'sum(score)',
  'min(size)',
  'max(size)',
  'max(price)',
  'max(big)',
  'min(city)',
  'unique(city)',
]);

/** The key and the exact functions of a row as one text. */
function pick(row: Record<string, unknown>, request: StatsRequest): string {
  const names = [
    ...(request.every ? ['time'] : []),
    ...dimensionsOf(request),
    ...request.fn!.filter((fn) => EXACT.has(fn)),
  ];
  return names.map((name) => `${name}=${stringify(row[name])}`).join(' ');
}

const dimensionsOf = (request: StatsRequest): string[] =>
  (request.by ?? '').split(',').filter((name) => name !== '');

function bruteForce(request: StatsRequest, fromMs: number, toMs: number): string[] {
  const matching = visits.filter(
    (one) =>
      one.atMs >= fromMs && one.atMs < toMs && (request.where ?? []).every((text) => CONDITIONS[text]!(one)),
  );
  const bucketOf = request.every ? (ms: number) => bucketStart(ms, request.every!, request.tz!) : () => 0;
  const dimensions = dimensionsOf(request);
  const groups = new Map<string, { dims: unknown[]; buckets: Map<number, Visit[]> }>();
  if (dimensions.length === 0) groups.set('', { dims: [], buckets: new Map() });
  for (const one of matching) {
    const dims = dimensions.map((name) => one[name as keyof Visit]);
    const key = dims.length === 0 ? '' : JSON.stringify(dims);
    if (!groups.has(key)) groups.set(key, { dims, buckets: new Map() });
    const { buckets } = groups.get(key)!;
    const bucket = bucketOf(one.atMs);
    if (!buckets.has(bucket)) buckets.set(bucket, []);
    buckets.get(bucket)!.push(one);
  }
  const starts: number[] = [];
  for (let at = fromMs; request.every && at < toMs; ) {
    const start = bucketOf(at);
    starts.push(start);
    at = nextStart(start, request.every, request.tz!);
  }
  return [...groups.values()].flatMap(({ dims, buckets }) =>
    (request.every ? starts : [0]).map((start) => {
      const inBucket = buckets.get(start) ?? [];
      const row = [
        ...(request.every ? [`time="${new Date(start).toISOString()}"`] : []),
        ...dimensions.map((name, index) => `${name}=${JSON.stringify(dims[index])}`),
        ...request.fn!.filter((fn) => EXACT.has(fn)).map((fn) => `${fn}=${VALUES[fn]!(inBucket)}`),
      ];
      return row.join(' ');
    }),
  );
}

const CONDITIONS: Record<string, (one: Visit) => boolean> = {
  'kind:eq:a': (one) => one.kind === 'a',
  'city:in:Oslo,Rio,東京': (one) => ['Oslo', 'Rio', '東京'].includes(one.city),
  'ok:eq:true': (one) => one.ok,
  'kind:ne:b': (one) => one.kind !== null && one.kind !== 'b',
  'small:gt:0': (one) => one.small > 0,
  'city:like:%o%': (one) => one.city.includes('o'),
};

const numbers = (visitsOf: Visit[], of: 'size' | 'big' | 'price'): bigint[] =>
  visitsOf.flatMap((one) => one[of] ?? []);
const total = (values: bigint[]): bigint => values.reduce((sum, value) => sum + value, 0n);
const sorted = (values: bigint[]) => values.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
const least = (values: bigint[]) => sorted(values)[0] ?? null;
const greatest = (values: bigint[]) => sorted(values).at(-1) ?? null;

const VALUES: Record<string, (visitsOf: Visit[]) => string> = {
  count: (all) => String(all.length),
  'sum(size)': (all) => String(total(numbers(all, 'size'))),
  'sum(big)': (all) => String(total(numbers(all, 'big'))),
  'sum(small)': (all) => String(all.reduce((sum, one) => sum + one.small, 0)),
  'sum(price)': (all) => decimalText(total(numbers(all, 'price')), 4),
  'sum(score)': (all) => String(all.reduce((sum, one) => sum + (one.score ?? 0), 0) / 8),
  'min(size)': (all) => String(least(numbers(all, 'size'))),
  'max(size)': (all) => String(greatest(numbers(all, 'size'))),
  'max(big)': (all) => String(greatest(numbers(all, 'big'))),
  'max(price)': (all) => {
    const most = greatest(numbers(all, 'price'));
    return most === null ? 'null' : decimalText(most, 4);
  },
  'min(city)': (all) => {
    const names = all.map((one) => Buffer.from(one.city)).sort(Buffer.compare);
    return names.length === 0 ? 'null' : JSON.stringify(names[0]!.toString());
  },
  'unique(city)': (all) => String(new Set(all.map((one) => one.city)).size),
};

/** Bucket of a moment by its local date, found through the zone's calendar and not through a list of boundaries. */
function bucketStart(ms: number, every: string, zone: string): number {
  const width = FIXED[every];
  if (width) return Math.floor(ms / width) * width;
  const date = Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(zone).toPlainDate();
  const first =
    every === '1mo'
      ? date.with({ day: 1 })
      : every === '1w'
        ? date.subtract({ days: date.dayOfWeek - 1 })
        : every === '2d'
          ? date.subtract({ days: ((Math.round(Date.parse(`${date}T00:00:00Z`) / 86_400_000) % 2) + 2) % 2 })
          : date;
  return first.toZonedDateTime(zone).startOfDay().epochMilliseconds;
}

function nextStart(start: number, every: string, zone: string): number {
  const width = FIXED[every];
  if (width) return start + width;
  const date = Temporal.Instant.fromEpochMilliseconds(start).toZonedDateTimeISO(zone).toPlainDate();
  const step = { '1d': { days: 1 }, '2d': { days: 2 }, '1w': { days: 7 }, '1mo': { months: 1 } }[every]!;
  return date.add(step).toZonedDateTime(zone).startOfDay().epochMilliseconds;
}

const FIXED: Record<string, number> = { '30s': 30_000, '7m': 420_000, '15m': 900_000, '1h': 3_600_000 };
