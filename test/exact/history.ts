/** A stream with its rollups and everything that can happen to it, at random; and questions about it, asked in every way. */
import type { StreamName } from '../../src/base/brand.ts';
import { memoryCache } from '../../src/cache/index.ts';
import { createRegistry } from '../../src/registry/index.ts';
import { answerCodec, createStats, Lookups, Results, type StatsRequest } from '../../src/stats/index.ts';
import { StoreTables } from '../../src/store/index.ts';
import { TENANT, World } from '../hot/world.ts';
import { seeded } from '../support/seeded.ts';
import { type Asked, decimalText, expected, type Fields, type Stored, type Value } from './model.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const TEXTS = [
  '',
  'Oslo',
  'Łódź',
  '東京',
  'x"y\\',
  "O'Hare",
  '😀',
  '\uffee',
  'a/b',
  'null',
  '\u2028\u0001',
  'a\0b',
  '\0',
];
const SCALE = 26;
const POOLS: Readonly<Record<string, readonly Value[]>> = {
  city: TEXTS,
  kind: ['a', 'b', 'c', null],
  ok: [true, false],
  code: [-(2 ** 31), -1, 0, 5, 2 ** 31 - 1].map(BigInt),
  big: [0n, 7n, 2n ** 53n + 1n, 2n ** 64n - 1n],
  size: [-(2n ** 63n), -3n, 0n, 2n ** 53n, 2n ** 63n - 1n, null],
  price: [0n, -5n * 10n ** 25n, 123n * 10n ** 24n, 1n, -(10n ** 35n) / 7n, 10n ** 34n / 3n, null],
  score: [-0, 0, 0.125, -1e4, 81.5, null],
  note: [...TEXTS, null],
  address: ['10.0.0.1', '2001:db8::1', '::1', null],
  day: [Date.UTC(2024, 1, 29), -1, -62_100_000, null],
};
const COLUMNS = Object.keys(POOLS);
const NUMBERS = ['code', 'big', 'size', 'price', 'score'];
const DIMENSIONS = ['city', 'kind', 'ok', 'code', 'big', 'price', 'address', 'day'];
const ORDERED = ['city', 'code', 'big', 'price', 'day'];
const MEASURES = [
  'count()',
  ...NUMBERS.flatMap((name) => [`avg(${name})`, `min(${name})`, `max(${name})`]),
  ...['min(note)', 'max(note)', 'min(day)', 'max(day)', 'unique(city)'],
];
const ROLLUPS: readonly (readonly [name: string, by: readonly string[], every: string])[] = [
  ['total', [], '1m'],
  ['by_city', ['city'], '10s'],
  ['by_kind', ['kind', 'ok', 'city'], '1m'],
  ['by_odd', ['address', 'day', 'price', 'code', 'big'], '5m'],
];
/** Now and then near a change of the clock. */
const NOWS = ['2024-05-01T00:00:00Z', '2024-10-27T01:30:00Z', '2024-04-06T16:00:00Z', '1970-01-01T02:00:00Z'];
const ZONES = ['UTC', 'Europe/Berlin', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'America/Sao_Paulo'];

interface Compared {
  readonly about: string;
  readonly expected: string;
  readonly ways: Readonly<Record<string, string>>;
}

export interface History {
  readonly failures: readonly unknown[];
  readonly used: { fromMemory: number; kept: number; batched: number; fromRollups: number; asked: number };
  begin(seed: number): Promise<void>;
  /** Something happens; tells what. */
  step(): Promise<string>;
  questions(): Promise<readonly Compared[]>;
  close(): Promise<void>;
}

export async function createHistory(): Promise<History> {
  const world = await World.open();
  const used = { fromMemory: 0, kept: 0, batched: 0, fromRollups: 0, asked: 0 };
  const near = memoryCache<never>({ bytesMax: 2 ** 24, codec: answerCodec as never, clock: world.clock });
  let random = seeded(1);
  let name = 's';
  let stored = new Map<number, Stored>();
  let sent: object[] = [];
  let nextId = 1;
  let names: Record<string, string> = {};
  let optional = new Set<string>();
  let isWide = false;
  let parts = partsOf();

  function partsOf() {
    const { engine, catalog, log, ingest, clock, runs, hot } = world;
    const registry = createRegistry({ catalog, log, ingest, runs, schema: new StoreTables(engine) });
    const base = { engine, catalog, log, ingest, clock };
    const results = new Results({
      ...{ catalog, log, ingest, clock, process: `${random()}` },
      caches: { near: near as never, shared: undefined },
    });
    const lookups = new Lookups(engine);
    const bare = { ...catalog, stream: catalog.stream.bind(catalog), setting: catalog.setting.bind(catalog) };
    return {
      ...{ registry, results, lookups },
      plain: createStats(base),
      events: createStats({ ...base, catalog: { ...bare, rollups: () => [] } }),
      hot: createStats({ ...base, hot }),
      kept: createStats({ ...base, results }),
      together: createStats({ ...base, lookups }),
    };
  }

  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(of: readonly T[]): T => of[below(of.length)]!;
  const some = <T>(of: readonly T[], most: number): T[] =>
    of.toSorted(() => random() - 0.5).slice(0, below(most + 1));
  const nameOf = (column: string): string => names[column] ?? column;

  const document = () => ({
    fields: {
      ...{ id: 'uint64', at: 'timestamp' },
      ...Object.fromEntries(
        COLUMNS.map((column) => [
          nameOf(column),
          {
            ...typeOf(column),
            ...(optional.has(column) || POOLS[column]!.includes(null) ? { optional: true } : {}),
            ...(nameOf(column) === column ? {} : { alias: [column] }),
          },
        ]),
      ),
    },
    ...{ eventId: 'id', eventTime: 'at', partitions: 2, dedupe: { within: '30d' }, future: '1h' },
  });

  function typeOf(column: string): object {
    switch (column) {
      case 'kind':
        return { type: 'enum', values: ['c', 'a', 'b'] };
      case 'price':
        return { type: 'decimal', precision: 38, scale: SCALE };
      case 'code':
        return { type: isWide ? 'int64' : 'int32' };
      default:
        return { type: KINDS[column]! };
    }
  }

  /** A run that was started is waited for. */
  const done = async (run: unknown): Promise<void> => {
    const id = (run as { readonly id?: string; readonly run?: { readonly id: string } } | undefined)?.run?.id;
    const own = id ?? (run as { readonly id?: string } | undefined)?.id;
    if (!own) return;
    const ended = await world.runs.wait(TENANT, own, 60_000);
    if (ended.state !== 'done' && (ended.state as string) !== 'succeeded')
      throw new Error(`the run failed: ${JSON.stringify(ended)}`);
  };
  const put = async (kind: 'stream' | 'rollup', what: string, of: object) => {
    await done(await parts.registry.put(TENANT, kind, what, of));
  };
  const putRollup = ([rollup, by, every]: (typeof ROLLUPS)[number], change = 0) =>
    put('rollup', `${name}_${rollup}`, {
      ...{ from: name, by: by.map(nameOf), every },
      measures: Object.fromEntries(
        MEASURES.filter((_, i) => change === 0 || i % 7 !== change % 7).map((text, i) => [
          `m${i}`,
          text.replace(/\((\w+)\)/, (_, column: string) => `(${nameOf(column)})`),
        ]),
      ),
    });

  const makeEvent = (): Stored => {
    const nowMs = world.clock.now();
    const ago = pick([
      () => below(10 * MINUTE),
      () => below(150 * MINUTE),
      () => below(10) * MINUTE,
      () => -below(50 * MINUTE),
      () => below(3 * DAY),
    ])();
    const event: Record<string, Value> = { id: nextId++, at: nowMs - ago };
    for (const column of COLUMNS) {
      const isNull = optional.has(column) && random() < 0.4;
      event[column] = isNull ? null : pick(POOLS[column]!);
    }
    return event as Stored;
  };

  const wire = (event: Stored): object =>
    Object.fromEntries(
      Object.entries(event).flatMap(([column, value]) => {
        if (value === null) return [];
        const text =
          column === 'price'
            ? decimalText(value as bigint, SCALE)
            : typeof value === 'bigint'
              ? String(value)
              : column === 'at' || column === 'day'
                ? new Date(value as number).toISOString()
                : value;
        // Senders who still use the earlier name are understood.
        return [[random() < 0.5 ? nameOf(column) : column, text]];
      }),
    );

  const send = async (): Promise<void> => {
    const fresh = Array.from({ length: 1 + below(40) }, makeEvent);
    const lines = fresh.map(wire).map(withNegativeZero);
    const again = some(sent, 10);
    const partition = below(2);
    for (const one of fresh) stored.set(one.id, one);
    sent = [...sent, ...lines].slice(-300);
    await sendLines([...lines, ...again], partition);
  };

  /** JSON has a negative zero, JavaScript does not write it. */
  const withNegativeZero = (event: object): object =>
    Object.fromEntries(
      Object.entries(event).map(([key, value]) => [key, Object.is(value, -0) ? '\u0007-0' : value]),
    );

  const sendLines = async (lines: readonly object[], partition: number): Promise<void> => {
    const bytes = Buffer.from(
      lines.map((line) => `${JSON.stringify(line).replaceAll('"\\u0007-0"', '-0.0')}\n`).join(''),
    );
    const key = { tenant: TENANT, stream: name as StreamName, partition };
    const from = world.log.state(key).end;
    await world.log.append(key, { chunks: [bytes], count: lines.length, bytes: bytes.byteLength });
    const to = (from + lines.length) as typeof from;
    const outcome = await world.ingest.applied(key, from, to);
    if (outcome.quarantined > 0) throw new Error('an event of the test is not taken');
  };

  const begin = async (seed: number): Promise<void> => {
    random = seeded(seed);
    await world.hot.settled();
    name = `s${seed}`;
    world.clock.atMs = Date.parse(pick(NOWS)) + below(DAY / 4);
    stored = new Map();
    sent = [];
    names = {};
    optional = new Set();
    isWide = false;
    await put('stream', name, document());
    for (const one of ROLLUPS) await putRollup(one);
    await send();
  };

  const fields = (): Fields => ({
    columnOf: Object.fromEntries(['id', 'at', ...COLUMNS].map((column) => [nameOf(column), column])),
    scales: { price: SCALE },
    moments: new Set(['at', 'day']),
  });

  const STEPS: readonly (readonly [what: string, weight: number, act: () => Promise<void>])[] = [
    ['events', 12, send],
    [
      'the clock moves',
      4,
      async () => {
        world.clock.atMs += below(8 * MINUTE);
      },
    ],
    ['a new version of a rollup', 2, () => putRollup(pick(ROLLUPS), 1 + below(9))],
    [
      'a rollup is removed and made again',
      1,
      async () => {
        const one = pick(ROLLUPS);
        await parts.registry.remove(TENANT, 'rollup', `${name}_${one[0]}`);
        if (random() < 0.5) await send();
        await putRollup(one);
      },
    ],
    [
      'a field is renamed',
      1,
      async () => {
        const column = pick(COLUMNS.filter((one) => names[one] === undefined));
        names = { ...names, [column]: `${column}_new` };
        await put('stream', name, document());
      },
    ],
    [
      'a field becomes optional',
      1,
      async () => {
        optional = new Set([...optional, pick(['code', 'big', 'ok', 'city'])]);
        await put('stream', name, document());
      },
    ],
    [
      'a field is widened',
      1,
      async () => {
        isWide = true;
        await put('stream', name, document());
      },
    ],
    ['a replay', 1, async () => done(await world.replays.start(TENANT, name, {}))],
    [
      'a restart, with little memory or much',
      1,
      async () => {
        await world.hot.settled();
        await world.stop();
        await world.start({ bytesMax: pick([2 ** 14, 2 ** 17, 2 ** 28]) });
        parts = partsOf();
      },
    ],
    [
      'the stream is removed and made again',
      1,
      async () => {
        for (const [rollup] of ROLLUPS) await parts.registry.remove(TENANT, 'rollup', `${name}_${rollup}`);
        await parts.registry.remove(TENANT, 'stream', name);
        stored = new Map();
        sent = [];
        await put('stream', name, document());
        for (const one of ROLLUPS) await putRollup(one);
        await send();
      },
    ],
  ];

  const step = async (): Promise<string> => {
    let at = below(STEPS.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [what, weight, act] of STEPS) {
      if (at < weight) {
        await act();
        return what;
      }
      at -= weight;
    }
    return 'nothing';
  };

  const condition = (column: string): readonly [string, string, (value: Value) => boolean] => {
    const pool = POOLS[column]!.filter((value) => value !== null);
    const shown = (value: Value): string =>
      column === 'price' ? decimalText(value as bigint, SCALE) : String(value);
    const field = nameOf(column);
    const value = pick(pool);
    const values = [value, ...some(pool, 3)].filter((one) => one !== '');
    const operator = pick([
      'eq',
      'eq',
      'ne',
      'in',
      'nin',
      ...(ORDERED.includes(column) ? ['gt', 'gte', 'lt', 'lte'] : []),
    ]);
    if (operator === 'in' || operator === 'nin') {
      const list: Value[] = values.length > 0 ? values : pool.filter((one) => one !== '').slice(0, 1);
      const wanted = new Set<Value>(list);
      return [
        column,
        `${field}:${operator}:${list.map(shown).join(',')}`,
        (one) => wanted.has(one) === (operator === 'in'),
      ];
    }
    const compare = (one: Value): number =>
      typeof one === 'string'
        ? Buffer.compare(Buffer.from(one), Buffer.from(value as string))
        : (one as never) < (value as never)
          ? -1
          : (one as never) > (value as never)
            ? 1
            : 0;
    const tests: Record<string, (one: Value) => boolean> = {
      eq: (one) => compare(one) === 0,
      ne: (one) => compare(one) !== 0,
      gt: (one) => compare(one) > 0,
      gte: (one) => compare(one) >= 0,
      lt: (one) => compare(one) < 0,
      lte: (one) => compare(one) <= 0,
    };
    return [column, `${field}:${operator}:${shown(value)}`, tests[operator]!];
  };

  const question = (): Asked => {
    const about = random() < 0.8 ? pick(ROLLUPS)[1] : DIMENSIONS;
    // Many are about one key, as many are in earnest.
    const isPoint = random() < 0.3;
    const dimensions = isPoint ? [] : some(about, Math.min(3, about.length));
    const where = (isPoint ? ['city'] : some(about, Math.min(2, about.length))).map(condition);
    const filter = random() < 0.2 ? some(about, 1).map(condition) : [];
    const functions = [
      ...['count', 'rate'].map((fn) => [fn, ''] as const),
      ...NUMBERS.flatMap((column) => ['sum', 'avg', 'min', 'max'].map((fn) => [fn, nameOf(column)] as const)),
      ...['note', 'day'].flatMap((column) => ['min', 'max'].map((fn) => [fn, nameOf(column)] as const)),
      ['unique', nameOf('city')] as const,
    ];
    const fn = [pick(functions), ...some(functions, 3)].filter((one, i, all) => all.indexOf(one) === i);
    const nowMs = world.clock.now();
    const grain = pick([MINUTE, 5 * MINUTE, 5 * MINUTE, 5 * MINUTE, 60 * MINUTE, 1]);
    const ago = pick([30 * MINUTE, 100 * MINUTE, 3 * DAY]);
    const fromMs = random() < 0.1 ? undefined : Math.floor((nowMs - 1 - below(ago)) / grain) * grain;
    const length = 1 + below(Math.ceil(ago / grain));
    const toMs = random() < 0.4 ? undefined : (fromMs ?? Math.floor(nowMs / grain) * grain) + length * grain;
    const span = (toMs ?? nowMs) - (fromMs ?? nowMs - 3 * DAY);
    const widths = ['15m', '1h', '1d', '1w', '1mo', ...(span < 120 * MINUTE ? ['10s', '1m', '7m'] : [])];
    const every = random() < 0.5 ? pick(widths) : undefined;
    const columns = [
      ...fn.map(([one, field]) => (field === '' ? one : `${one}(${field})`)),
      ...dimensions.map(nameOf),
      ...(every ? ['time'] : []),
    ];
    const order = random() < 0.4 ? [[pick(columns), random() < 0.5] as const] : [];
    const limit = random() < 0.4 ? pick([1, 3, 1_000]) : undefined;
    return {
      ...{ fn, by: dimensions.map(nameOf), order, fromMs, toMs, limit },
      accepts: [...where, ...filter].map(([column, , test]) => [nameOf(column), test] as const),
      filter: filter.map(([column, , test]) => [nameOf(column), test] as const),
      request: {
        fn: fn.map(([one, field]) => (field === '' ? one : `${one}(${field})`)),
        where: where.map(([, text]) => text),
        tz: pick(ZONES),
        ...(filter.length > 0 ? { rowFilter: filter.map(([, text]) => text) } : {}),
        ...(fromMs === undefined ? {} : { from: String(fromMs) }),
        ...(toMs === undefined ? {} : { to: String(toMs) }),
        ...(every ? { every } : {}),
        ...(dimensions.length > 0 ? { by: dimensions.map(nameOf).join(',') } : {}),
        ...(order.length > 0
          ? { order: order.map(([column, down]) => `${down ? '-' : ''}${column}`).join(',') }
          : {}),
        ...(limit === undefined ? {} : { limit: String(limit) }),
      },
    };
  };

  const compared = async (asked: Asked): Promise<Compared> => {
    const { request } = asked;
    const ask = (way: 'plain' | 'events' | 'hot' | 'kept' | 'together', more: StatsRequest = {}) =>
      parts[way].ask(TENANT, name, { ...request, ...more });
    const answered = world.hot.figures().answered;
    const cold = await ask('hot');
    await world.hot.settled();
    const hot = await ask('hot');
    used.fromMemory += world.hot.figures().answered - answered;
    const plain = await ask('plain');
    if (plain.meta.source.startsWith('rollup')) used.fromRollups += 1;
    const batched = parts.lookups.state.batched;
    const crowd = await Promise.all([
      ask('together'),
      ask('together'),
      ask('together', other(request)),
      ask('together'),
    ]);
    used.batched += parts.lookups.state.batched - batched;
    const first = await ask('kept');
    const [kept, joined] = await Promise.all([ask('kept'), ask('kept', { max_age: '5' })]);
    if (kept.meta.cached) used.kept += 1;
    used.asked += 1;
    for (const { meta } of [hot, plain, first, kept, ...crowd]) {
      if (meta.lag_ms !== 0 || meta.as_of !== new Date(world.clock.now()).toISOString())
        throw new Error(`everything is applied, but ${JSON.stringify(meta)} is said`);
    }
    return {
      about: JSON.stringify(request),
      expected: expected([...stored.values()], asked, world.clock.now(), fields()),
      ways: {
        plain: plain.rowsJson,
        events: (await ask('events')).rowsJson,
        cold: cold.rowsJson,
        hot: hot.rowsJson,
        first: first.rowsJson,
        kept: kept.rowsJson,
        joined: joined.rowsJson,
        alone: crowd[0]!.rowsJson,
        together: crowd[1]!.rowsJson,
        'the other together': crowd[3]!.rowsJson,
      },
    };
  };

  /** The same about another city, if it is about one. */
  const other = ({ where = [] }: StatsRequest): StatsRequest => ({
    where: where.map((text) => text.replace(/^(city|city_new):eq:.*$/s, '$1:eq:nowhere')),
  });

  return {
    failures: world.failures,
    used,
    begin,
    step,
    questions: async () => {
      const all: Compared[] = [];
      // One that warms what it is about, and some after it.
      for (let i = 0; i < 4; i += 1) all.push(await compared(question()));
      await world.hot.settled();
      return all;
    },
    close: () => world.close(),
  };
}

const KINDS: Readonly<Record<string, string>> = {
  ...{ city: 'string', ok: 'bool', big: 'uint64', size: 'int64', score: 'float64', note: 'string' },
  ...{ address: 'ip', day: 'timestamp' },
};
