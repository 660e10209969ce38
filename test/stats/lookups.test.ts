import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MillraceError } from '../../src/base/errors.ts';
import { createStats, Lookups, type StatsAnswer, type StatsRequest } from '../../src/stats/index.ts';
import { seeded } from '../support/seeded.ts';
import { rollup, stream, visit, World } from './fixture.ts';

const MINUTE = 60_000;
const START = Date.UTC(2024, 4, 1);
const END = START + 30 * MINUTE;
const CITIES = [
  '',
  'Oslo',
  'Łódź',
  "O'Hare",
  'a\\b',
  '東京',
  'x"y',
  '😀',
  'a,b',
  'new\nline',
  '{p0:String}',
  'null',
];
const ROLLUPS = [
  rollup('by_city', ['city'], 60),
  rollup('by_kind_city', ['kind', 'city'], 60),
  rollup('by_small', ['small'], 60),
  rollup('by_big', ['big', 'ok'], 60),
];

let world: World;
const random = seeded(7);
const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;

beforeAll(async () => {
  world = await World.open();
  const visits = Array.from({ length: 3_000 }, (_, i) =>
    visit({
      id: BigInt(i),
      atMs: START + Math.floor(random() * 30 * MINUTE),
      city: pick(CITIES),
      kind: pick(['a', 'b', null]),
      size: pick([null, BigInt(i), -(2n ** 62n)]),
      big: 2n ** 64n - 1n - BigInt(Math.floor(random() * 20)),
      small: Math.floor(random() * 9) - 4,
      price: pick([null, BigInt(i)]),
      score: Math.floor(random() * 80),
      ok: random() < 0.5,
    }),
  );
  await world.insert(visits);
  for (const one of ROLLUPS) await world.tables.buildRollup(world.tenant, stream, one, 1);
});
afterAll(() => world.close());

type Query = World['engine']['query'];

function statsWith(query: Query = (...given) => world.engine.query(...given)) {
  const statements: string[] = [];
  const engine = {
    query: (...given: Parameters<Query>) => {
      statements.push(given[0].text);
      return query(...given);
    },
    rows: <Row>(...given: Parameters<World['engine']['rows']>) => world.engine.rows<Row>(...given),
  };
  const lookups = new Lookups(engine);
  const parts = {
    engine,
    catalog: world.catalog(ROLLUPS),
    log: { state: () => world.logState },
    ingest: { state: () => world.ingestState },
    clock: world.clock,
  };
  const stats = createStats({ ...parts, lookups });
  return {
    statements,
    lookups,
    ask: (request: StatsRequest, signal?: AbortSignal) =>
      stats.ask(world.tenant, stream.name, request, signal),
  };
}

const told = ({ meta: { elapsed_ms: _, ...meta }, ...answer }: StatsAnswer) =>
  JSON.stringify({ ...answer, meta });
const range = { from: String(START), to: String(END) };
const EXACT = [
  'count',
  'rate',
  'sum(size)',
  'sum(big)',
  'avg(price)',
  'min(size)',
  'max(price)',
  'max(big)',
  'unique(city)',
  'p50(score)',
  'p99(score)',
];

describe('batched lookups', () => {
  it('many point questions about one rollup become few statements, and each has the bytes that it has alone', async () => {
    const { ask, statements, lookups } = statsWith();
    const alone = statsWith();
    const requests: StatsRequest[] = [
      ...CITIES.map((city) => ({ ...range, fn: EXACT, where: [`city:eq:${city}`] })),
      ...['nowhere', 'Oslo2', 'oslo'].map((city) => ({ ...range, fn: EXACT, where: [`city:eq:${city}`] })),
    ];
    const answers = await Promise.all(requests.map((request) => ask(request)));
    // One at once, one for all others, one for those that do not occur.
    expect(statements).toHaveLength(3);
    expect(lookups.state).toEqual({ batched: requests.length - 1, statements: 1 });
    for (const [i, request] of requests.entries())
      expect(told(answers[i]!)).toBe(told(await alone.ask(request)));
    expect(alone.lookups.state.batched).toBe(0);
  });

  it('in random crowds of questions each has the bytes that it has alone', async () => {
    const crowd = (): StatsRequest[] => {
      const shape: StatsRequest = {
        ...pick([range, range, { from: String(START + 30_500), to: String(END) }]),
        fn: pick([EXACT, EXACT, EXACT, ['sum(score)', 'count'], ['top(city,3)']]),
        ...pick([{}, {}, { every: '10m', limit: '2' }, { every: '5m', order: '-time' }]),
      };
      const where = pick([
        () => [`city:eq:${pick(CITIES)}`],
        () => [`city:eq:${pick(CITIES)}`, 'kind:eq:a'],
        () => ['kind:ne:a', `city:eq:${pick(CITIES)}`],
        () => [`city:eq:${pick(CITIES)}`, `city:eq:${pick(CITIES)}`],
        () => [`small:eq:${pick([-4, -1, '+2', 0, '-0', 99])}`],
        () => [`big:eq:${2n ** 64n - 1n - BigInt(Math.floor(random() * 25))}`, 'ok:eq:true'],
        () => [`kind:eq:${pick(['a', 'b', 'c'])}`],
      ]);
      return Array.from({ length: 12 }, () => ({ ...shape, where: where() }));
    };
    const { ask, lookups } = statsWith();
    const requests = Array.from({ length: 9 }, crowd).flat();
    const answers = await Promise.all(requests.map((request) => ask(request)));
    const expected = new Map<string, Promise<StatsAnswer>>();
    for (const [i, request] of requests.entries()) {
      const key = JSON.stringify(request);
      const known = expected.get(key) ?? statsWith().ask(request);
      expected.set(key, known);
      expect(told(answers[i]!), key).toBe(told(await known));
    }
    expect(lookups.state.batched).toBeGreaterThan(40);
    expect(lookups.state.statements).toBeLessThan(lookups.state.batched / 2);
  });

  it('one that is asked while nothing is under way goes at once', async () => {
    const { ask, lookups } = statsWith();
    for (const city of CITIES) await ask({ ...range, where: [`city:eq:${city}`] });
    expect(lookups.state).toEqual({ batched: 0, statements: 0 });
  });

  it('what is too much together is asked in halves, and only who fails alone fails', async () => {
    const refused = new MillraceError('bad-question', 'too much');
    const { ask } = statsWith(async (statement, ...rest) => {
      const values = Object.values(statement.params ?? {}).flat();
      if (values.filter((value) => CITIES.includes(value as string)).length > 2 || values.includes('Łódź'))
        throw refused;
      return world.engine.query(statement, ...rest);
    });
    const answers = await Promise.allSettled(
      CITIES.map((city) => ask({ ...range, where: [`city:eq:${city}`] })),
    );
    expect(answers.map(({ status }) => status === 'fulfilled')).toEqual(
      CITIES.map((city) => city !== 'Łódź'),
    );
  });

  it('who leaves disturbs nobody; when all have left the statement is ended', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const signals: (AbortSignal | undefined)[] = [];
    const { ask } = statsWith(async (statement, format, limits) => {
      signals.push(limits?.signal);
      await held;
      return world.engine.query(statement, format, limits);
    });
    const gone = new AbortController();
    const about = (city: string, signal?: AbortSignal) =>
      ask({ ...range, where: [`city:eq:${city}`] }, signal);
    const first = about('Oslo');
    const leaves = about('a,b', gone.signal);
    const stays = about('x"y');
    await Promise.resolve();
    const left = expect(leaves).rejects.toMatchObject({ code: 'query-timeout' });
    gone.abort();
    await left;
    release();
    const expected = await statsWith().ask({ ...range, where: ['city:eq:x"y'] });
    expect(told(await stays)).toBe(told(expected));
    await first;
    expect(signals.every((signal) => !signal?.aborted)).toBe(true);
  });
});
