import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Offset } from '../../src/base/brand.ts';
import { type Caches, memoryCache } from '../../src/cache/index.ts';
import type { CachedAnswer } from '../../src/stats/cached-answer.ts';
import {
  answerCodec,
  createStats,
  Results,
  type StatsAnswer,
  type StatsRequest,
} from '../../src/stats/index.ts';
import { eventsTable } from '../../src/store/index.ts';
import { seeded } from '../support/seeded.ts';
import { stream, type Visit, visit, World } from './fixture.ts';

const ZERO = Date.UTC(2025, 0, 1);

let world: World;
/** Arrivals of the accepted records; the first `applied` of them are in the tables. */
let arrivals: number[];
let applied: number;
let contents: number | undefined;
let nextId = 0n;

beforeAll(async () => {
  world = await World.open();
});
afterAll(() => world.close());
beforeEach(async () => {
  await world.engine.execute({ text: `TRUNCATE TABLE ${eventsTable(world.tenant, stream.name)}` });
  arrivals = [];
  applied = 0;
  contents = 0;
});

function accept(count: number): void {
  for (let i = 0; i < count; i += 1) arrivals.push(world.clock.now());
}

/** Everything that was accepted becomes visible. */
async function apply(make: (index: number) => Partial<Visit> = () => ({})): Promise<void> {
  const fresh = arrivals.slice(applied).map((atMs, i) => visit({ id: nextId++, atMs, ...make(i) }));
  if (fresh.length > 0) await world.insert(fresh);
  applied = arrivals.length;
}

/** Rows go although nothing was applied, as in a repair. */
async function rewrite(): Promise<void> {
  const before = contents ?? 0;
  contents = undefined;
  await world.engine.execute({
    text: `ALTER TABLE ${eventsTable(world.tenant, stream.name)} DELETE WHERE id % 3 = 0 SETTINGS mutations_sync = 2`,
  });
  contents = before + 1;
}

function parts() {
  return {
    engine: counted.engine,
    catalog: world.catalog([]),
    log: {
      state: () => ({
        start: 0 as Offset,
        end: arrivals.length as Offset,
        bytes: 0,
        newestAtMs: arrivals.at(-1) ?? 0,
      }),
    },
    ingest: {
      state: () => ({
        ...world.ingestState,
        applied: applied as Offset,
        appliedReceivedAtMs: applied === 0 ? 0 : arrivals[applied - 1]!,
      }),
      contents: () => contents,
    },
    clock: world.clock,
  };
}

const counted = {
  statements: 0,
  hold: undefined as Promise<void> | undefined,
  get engine() {
    return {
      query: async (...given: Parameters<World['engine']['query']>) => {
        counted.statements += 1;
        await counted.hold;
        return world.engine.query(...given);
      },
      rows: <Row>(...given: Parameters<World['engine']['rows']>) => world.engine.rows<Row>(...given),
    };
  },
};

function cachedStats(shared?: Caches<CachedAnswer>['shared'], process = 'one') {
  const near = memoryCache({ bytesMax: 2 ** 24, codec: answerCodec, clock: world.clock });
  const results = new Results({ ...parts(), caches: { near, shared }, process });
  const stats = createStats({ ...parts(), results });
  const ask = (request: StatsRequest = {}, signal?: AbortSignal) =>
    stats.ask(world.tenant, stream.name, request, signal);
  return { results, ask, near };
}
const uncached = (request: StatsRequest) => createStats(parts()).ask(world.tenant, stream.name, request);

const told = ({ columns, rowsJson, meta: { from, to, source } }: StatsAnswer) =>
  JSON.stringify({ columns, rowsJson, from, to, source });

describe('answers that were given before', () => {
  it('an equal question is not computed again while nothing was applied, and says how fresh it is now', async () => {
    const { ask } = cachedStats();
    accept(3);
    await apply();
    const request = { from: '2024-12-31', to: '2026-01-01' };
    const first = await ask(request);
    expect(first.meta.cached).toBe(false);
    world.clock.advance(60_000);
    accept(1);
    world.clock.advance(500);
    const before = counted.statements;
    const second = await ask(request);
    expect(counted.statements).toBe(before);
    expect(second.rowsJson).toBe(first.rowsJson);
    const { as_of, lag_ms } = (await uncached(request)).meta;
    expect(second.meta).toMatchObject({ cached: true, as_of, lag_ms });
    expect(lag_ms).toBe(500);
  });

  it('what was applied is seen by the next question, also while an older answer is being computed', async () => {
    const { ask } = cachedStats();
    const request = { from: '2024-12-31', to: '2026-01-01' };
    accept(1);
    await apply();
    let release = () => {};
    counted.hold = new Promise((resolve) => {
      release = resolve;
    });
    const early = ask(request);
    accept(1);
    await apply();
    const late = ask(request);
    counted.hold = undefined;
    release();
    await early;
    expect((await late).rowsJson).toBe('[{"count":2}]');
    expect((await ask(request)).rowsJson).toBe('[{"count":2}]');
  });

  it('nothing is exact while tables are rewritten, nor afterwards what was read before', async () => {
    const { ask } = cachedStats();
    const request = { from: '2024-12-31', to: '2026-01-01' };
    accept(9);
    await apply();
    await ask(request);
    contents = undefined;
    expect((await ask(request)).meta.cached).toBe(false);
    contents = 7;
    expect((await ask(request)).meta.cached).toBe(false);
    expect((await ask(request)).meta.cached).toBe(true);
  });

  it('an answer without an end goes on being exact while its last bucket is the same', async () => {
    const { ask } = cachedStats();
    accept(2);
    await apply();
    const request = { from: new Date(world.clock.now() - 60_000).toISOString(), every: '1m' };
    const first = await ask(request);
    world.clock.advance(1);
    const second = await ask(request);
    expect(second.meta.cached).toBe(true);
    expect(told(second)).toBe(told(await uncached(request)));
    expect(second.meta.to).not.toBe(first.meta.to);
    world.clock.advance(60_000);
    const third = await ask(request);
    expect(third.meta.cached).toBe(false);
    expect(third.rowCount).toBe(first.rowCount + 1);
  });

  it('with max_age a relative question is answered by one of the last seconds, and never by an older one', async () => {
    const { ask } = cachedStats();
    accept(2);
    await apply();
    const request = { from: '-1h', max_age: '10' };
    const first = await ask(request);
    world.clock.advance(4_000);
    accept(5);
    await apply();
    world.clock.advance(6_000);
    const second = await ask(request);
    expect(second.meta).toEqual({ ...first.meta, cached: true, lag_ms: 10_000, elapsed_ms: 0 });
    expect(second.rowsJson).toBe(first.rowsJson);
    expect((await ask({ ...request, max_age: '9.999' })).rowsJson).toBe('[{"count":7}]');
    world.clock.advance(10_001);
    expect((await ask(request)).meta.cached).toBe(false);
    world.clock.advance(1);
    expect((await ask({ from: '-1h' })).meta.cached).toBe(false);
  });

  it('a mistake is told although an answer is at hand', async () => {
    const { ask } = cachedStats();
    const request = { from: '2024-12-31', to: '2026-01-01' };
    await ask(request);
    await expect(ask({ ...request, max_age: 'some' })).rejects.toMatchObject({ code: 'bad-question' });
  });

  it('many who ask the same at once share one computation; who leaves disturbs nobody', async () => {
    const { ask, results } = cachedStats();
    const request = { from: '2024-12-31', to: '2026-01-01' };
    accept(4);
    await apply();
    const before = counted.statements;
    let release = () => {};
    counted.hold = new Promise((resolve) => {
      release = resolve;
    });
    const leaves = new AbortController();
    const first = ask(request, leaves.signal);
    const others = Array.from({ length: 20 }, () => ask(request));
    leaves.abort();
    await expect(first).rejects.toMatchObject({ code: 'query-timeout' });
    counted.hold = undefined;
    release();
    const answers = await Promise.all(others);
    expect(new Set(answers.map(told)).size).toBe(1);
    expect(answers[0]!.rowsJson).toBe('[{"count":4}]');
    expect(counted.statements - before).toBe(1);
    expect(results.state.shared).toBe(20);
  });

  it('a failure is told to those who waited, and not kept', async () => {
    const { ask } = cachedStats();
    const request = { from: '2024-12-31', to: '2026-01-01' };
    counted.hold = Promise.reject(new Error('away'));
    counted.hold.catch(() => undefined);
    const both = [ask(request), ask(request)];
    for (const one of both) await expect(one).rejects.toThrow('away');
    counted.hold = undefined;
    expect((await ask(request)).rowsJson).toBe('[{"count":0}]');
  });

  it('an erased tenant leaves nothing, not even by a computation that was under way', async () => {
    const { ask, results, near } = cachedStats();
    const request = { from: '2024-12-31', to: '2026-01-01' };
    await ask(request);
    expect(await results.part.holdings(world.tenant)).toHaveLength(1);
    let release = () => {};
    counted.hold = new Promise((resolve) => {
      release = resolve;
    });
    const under = ask({ ...request, fn: ['rate'] });
    await results.part.erase(world.tenant);
    counted.hold = undefined;
    release();
    await under;
    expect(await results.part.holdings(world.tenant)).toEqual([]);
    expect(near.state).toMatchObject({ entries: 0, bytes: 0 });
  });

  it('what another process computed is used only as far as staleness is tolerated, and by the wall clock', async () => {
    const shared = memoryCache({ bytesMax: 2 ** 24, codec: answerCodec, clock: world.clock });
    const one = cachedStats(shared, 'one');
    const two = cachedStats(shared, 'two');
    const request = { from: '2024-12-31', to: '2026-01-01', max_age: '5' };
    accept(1);
    await apply();
    await one.ask(request);
    world.clock.advance(5_000);
    expect((await two.ask({ ...request, max_age: '0' })).meta.cached).toBe(false);
    const three = cachedStats(shared, 'three');
    expect((await three.ask(request)).meta).toMatchObject({ cached: true, lag_ms: 5_000 });
    world.clock.advance(1);
    expect((await cachedStats(shared, 'four').ask(request)).meta.cached).toBe(false);
    world.clock.advance(-60_000);
    expect((await cachedStats(shared, 'five').ask(request)).meta.cached).toBe(false);
  });

  it('an answer outlives its way through bytes', async () => {
    const { ask } = cachedStats();
    const answer = await ask({ from: '2024-12-31', every: '1d' });
    const facts = { process: 'p', computedMonotonicMs: 1.5, askedAtMs: 2, endsNow: true };
    for (const kept of [
      { ...facts, answer, state: '0 1', sameUntilMs: Number.POSITIVE_INFINITY },
      { ...facts, answer, state: undefined, sameUntilMs: 3 },
    ]) {
      expect(answerCodec.decode(answerCodec.encode(kept))).toEqual(kept);
    }
    for (const text of ['', '\n', '{}\n[]', '{"answer":1}\n', 'x']) {
      expect(answerCodec.decode(Buffer.from(text))).toBeUndefined();
    }
  });

  it('in random histories no answer differs from one that is computed, nor is older than promised', async () => {
    const { ask } = cachedStats();
    const random = seeded(20_250_101);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
    const questions: StatsRequest[] = [
      { from: '2024-12-31', to: '2026-01-01' },
      { from: '-30s' },
      { from: '-5m', every: '10s' },
      { from: '2025-01-01', every: '1m', by: 'city' },
      { from: '2025-01-01', fn: ['rate', 'count'] },
      { every: '1h' },
      { from: '2025-01-01', fn: ['count'], where: ['city:eq:Oslo'] },
      { from: '2025-01-01', to: 'now', fn: ['sum(size)'] },
    ];
    interface Record {
      readonly at: number;
      readonly question: StatsRequest;
      readonly told: string;
      readonly applied: number;
    }
    const records: Record[] = [];
    let hits = 0;
    for (let step = 0; step < 250; step += 1) {
      const what = random();
      if (what < 0.15) world.clock.advance(pick([1, 100, 1_000, 7_000]));
      else if (what < 0.25) accept(1 + Math.floor(random() * 3));
      else if (what < 0.35) await apply(() => ({ city: pick(['Oslo', 'Rio']), size: BigInt(step) }));
      else if (what < 0.38) await rewrite();
      else {
        const question = pick(questions);
        const maxAge = pick([0, 0, 0.5, 5]);
        const fresh = await uncached(question);
        records.push({ at: world.clock.now(), question, told: told(fresh), applied });
        const answer = await ask({ ...question, max_age: String(maxAge) });
        if (answer.meta.cached) hits += 1;
        const fits = records.filter(
          (one) =>
            one.question === question &&
            one.at >= world.clock.now() - maxAge * 1_000 &&
            one.told === told(answer),
        );
        if (maxAge === 0) {
          expect(told(answer)).toBe(told(fresh));
          expect(answer.meta).toMatchObject({ as_of: fresh.meta.as_of, lag_ms: fresh.meta.lag_ms });
        }
        expect(fits, `step ${step}: ${JSON.stringify(question)} max_age ${maxAge}`).not.toEqual([]);
        const holds = Math.max(...fits.map((one) => one.applied));
        const oldestMissing = arrivals[holds];
        const lag = oldestMissing === undefined ? 0 : world.clock.now() - oldestMissing;
        expect(answer.meta.lag_ms).toBeGreaterThanOrEqual(Math.floor(lag));
        const asOf = Date.parse(answer.meta.as_of ?? '1970-01-01');
        if (oldestMissing !== undefined) expect(asOf).toBeLessThanOrEqual(Math.max(oldestMissing, ZERO));
      }
    }
    expect(hits).toBeGreaterThan(20);
  });
});
