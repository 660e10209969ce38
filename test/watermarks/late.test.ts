import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_TENANT } from '../../src/base/brand.ts';
import { systemClock } from '../../src/base/clock.ts';
import { systemIds } from '../../src/base/ids.ts';
import type { StreamDefinition } from '../../src/define/model.ts';
import { createQuarantineReplay, type ReplayRequest } from '../../src/quarantine/index.ts';
import { createRuns } from '../../src/runs/index.ts';
import { createLate, createStats } from '../../src/stats/index.ts';
import { openWorld, START, type World } from './world.ts';

const MINUTE = 60_000;
const YEAR = 365 * 24 * 60 * MINUTE;
let world: World;

beforeAll(async () => {
  world = await openWorld();
});
afterAll(async () => {
  await world.close();
  expect(world.errors).toEqual([]);
});

const iso = (ms: number) => new Date(ms).toISOString();
const parts = () => {
  const { engine, catalog, log, ingest, clock, watermarks } = world;
  return { engine, catalog, log, ingest, clock, watermarks };
};
const meta = async (
  stream: StreamDefinition,
  fromMs: number,
  toMs: number,
  rowFilter?: readonly string[],
) => {
  const asked = { from: iso(fromMs), to: iso(toMs), ...(rowFilter ? { rowFilter } : {}) };
  const answer = await createStats(parts()).ask(DEFAULT_TENANT, stream.name, asked);
  const { watermark, finality, version, late, duplicates } = answer.meta;
  return { watermark, finality, version, late, duplicates, rows: JSON.parse(answer.rowsJson) };
};
const late = (stream: StreamDefinition, request = {}) =>
  createLate(parts()).list(DEFAULT_TENANT, stream.name, request);

function replaying() {
  const { catalog, log, ingest, clock, engine, files, directory } = world;
  const ids = systemIds;
  const silent = { info: () => undefined, error: () => undefined };
  const runs = createRuns({ catalog, clock: systemClock, ids, logger: silent });
  const area = { engine, files, directory };
  const parts = { catalog, log, ingest, area, clock, ids, runs, eventBytesMax: 1_000 };
  return { runs, replay: createQuarantineReplay(parts) };
}
async function replayLate(stream: StreamDefinition, late: ReplayRequest['late'] = {}): Promise<unknown> {
  const { runs, replay } = replaying();
  const { id } = await replay.start(DEFAULT_TENANT, stream.name, { late });
  const { state, error, result, kind } = await runs.wait(DEFAULT_TENANT, id, 30_000);
  await runs.stop();
  expect([kind, state, error]).toEqual(['replay-late', 'done', null]);
  await world.isApplied(stream);
  return result;
}

describe('answers', () => {
  it('are open, then final, then corrected by what comes late; a restart knows it too', async () => {
    const stream = await world.define('answers');
    const [from, to] = [START - 10 * MINUTE, START];
    await world.send(stream, [START - MINUTE]);
    expect(await meta(stream, from, to)).toMatchObject({ finality: 'open', watermark: iso(START - MINUTE) });
    await world.send(stream, [START]);
    expect(await meta(stream, from, to)).toMatchObject({ finality: 'final', late: 0, rows: [{ count: 1 }] });
    await world.send(stream, [START - 3 * MINUTE, START - 4 * MINUTE]);
    const corrected = { finality: 'corrected', late: 2, watermark: iso(START), rows: [{ count: 3 }] };
    expect(await meta(stream, from, to)).toMatchObject(corrected);
    expect(await meta(stream, from, START - 5 * MINUTE)).toMatchObject({ finality: 'final', late: 0 });
    await world.restart(undefined, { killed: true });
    expect(await meta(stream, from, to)).toMatchObject(corrected);
  });

  it('tell a key with row filters whether they are final, and nothing of the events of others', async () => {
    const stream = await world.define('filtered');
    await world.send(stream, [START], { station: 'a' });
    await world.send(stream, [START - 5 * MINUTE], { station: 'b' });
    expect(await meta(stream, START - 10 * MINUTE, START, ['station:eq:a'])).toEqual({
      ...{ watermark: null, finality: 'final', version: null, late: null, duplicates: null },
      rows: [{ count: 0 }],
    });
  });
});

describe('what an answer says of late events and duplicates', () => {
  const range = [START - 10 * MINUTE, START] as const;

  it('counts duplicates by the minutes of their own event times; a restart knows them too', async () => {
    const stream = await world.define('repeated');
    const sent = world.line(START - 3 * MINUTE);
    const other = world.line(START - MINUTE);
    await world.sendLines(stream, [sent, other, world.line(START + MINUTE)]);
    expect(await meta(stream, ...range)).toMatchObject({ finality: 'final', version: 1, duplicates: 0 });
    await world.sendLines(stream, [sent, sent, other, world.line(START - 2 * MINUTE)]);
    const told = { finality: 'corrected', version: 2, late: 1, duplicates: 3, rows: [{ count: 3 }] };
    expect(await meta(stream, ...range)).toMatchObject(told);
    const narrow = [START - 4 * MINUTE, START - 3 * MINUTE + 1] as const;
    expect(await meta(stream, ...narrow)).toMatchObject({ late: 0, duplicates: 2 });
    await world.restart(undefined, { killed: true });
    expect(await meta(stream, ...range)).toMatchObject(told);
    await world.sendLines(stream, [sent]);
    expect(await meta(stream, ...range)).toMatchObject({ ...told, duplicates: 4 });
  });

  it('is there before the batch is applied: what cannot be counted or written is tried again', async () => {
    for (const [name, what] of [
      ['uncounted', /AS kind, .* AS minute/],
      ['unwritten', /unwritten\/0\/position/],
    ] as const) {
      const stream = await world.define(name);
      await world.send(stream, [START]);
      const failing = world.interfere(what, 'fail');
      const sent = world.send(stream, [START - 2 * MINUTE]);
      await failing.isReached;
      // The tables may have it by now.
      const { finality, version, late } = await meta(stream, ...range);
      expect([finality, version, late], name).toEqual(['corrected', null, null]);
      failing.stop();
      await sent;
      expect(await meta(stream, ...range), name).toMatchObject({
        ...{ finality: 'corrected', version: 2, late: 1, rows: [{ count: 1 }] },
      });
    }
  });

  it('is not lost, nor counted twice, when the process is killed at any step of a batch', async () => {
    for (const [name, what] of [
      ['unpromised', /unpromised\/0\/manifest/],
      ['uninserted', /^INSERT INTO .*events_uninserted/],
      ['unmeasured', /AS kind, .* AS minute/],
      ['unadvanced', /unadvanced\/0\/position/],
    ] as const) {
      const stream = await world.define(name);
      const twice = world.line(START);
      await world.sendLines(stream, [twice]);
      // Late is what comes when an answer may have been told final.
      await world.reaches(stream, START);
      const killed = world.interfere(what, 'fail');
      const sent = world.sendLines(stream, [world.line(START - 2 * MINUTE), twice]).catch(() => undefined);
      await killed.isReached;
      await world.restart(async () => killed.stop(), { killed: true });
      await sent;
      await world.isApplied(stream);
      expect(await meta(stream, range[0], START + MINUTE), name).toMatchObject({
        ...{ late: 1, duplicates: 1, rows: [{ count: 2 }] },
      });
      expect(await meta(stream, ...range), name).toMatchObject({
        finality: 'corrected',
        version: 2,
        late: 1,
      });
    }
  });

  it('an answer that was final is never changed by a batch that was on its way', async () => {
    const stream = await world.define('overtaken', { partitions: 2 });
    for (const partition of [0, 1]) await world.send(stream, [START - 5 * MINUTE], { partition });
    const writing = world.interfere(/state .*"watermarks".*overtaken/, 'pause');
    await world.watermarks.heartbeat(DEFAULT_TENANT, stream.name, START);
    await writing.isReached;
    const inserting = world.interfere(/^INSERT INTO .*events_overtaken/, 'pause');
    const sent = world.send(stream, [START - MINUTE]);
    await inserting.isReached;
    writing.stop();
    await world.moment();
    expect(await meta(stream, ...range)).toMatchObject({ finality: 'open', rows: [{ count: 2 }] });
    inserting.stop();
    await sent;
    expect(await meta(stream, ...range)).toMatchObject({ finality: 'final', version: 1, late: 0 });
  });

  it('a range that ends within a minute is open until that minute is over', async () => {
    const stream = await world.define('within');
    await world.send(stream, [START + 40_000]);
    const half = [START, START + 30_000] as const;
    expect(await meta(stream, ...half)).toMatchObject({ finality: 'open', rows: [{ count: 0 }] });
    await world.send(stream, [START + 20_000, START + MINUTE]);
    expect(await meta(stream, ...half)).toMatchObject({ finality: 'final', late: 0, rows: [{ count: 1 }] });
  });
});

describe('the late lane', () => {
  it('tells what came late by event time, and what became of it', async () => {
    const dropping = { lateness: { allowed: '1m', then: 'drop' }, watermark: { delay: '5s' } };
    const stream = await world.define('dropping', dropping);
    await world.send(stream, [START]);
    // Within the delay and what is allowed on top of it; behind it; a year behind.
    expect(await world.send(stream, [START - 65_000])).toMatchObject({ stored: 1, late: 0 });
    expect(await world.send(stream, [START - 65_001, START - YEAR])).toMatchObject({ lateDropped: 2 });
    const answer = await late(stream);
    expect(answer.counts).toEqual([
      { time: iso(START - 60 * MINUTE), counted: 1, quarantined: 0, dropped: 1, replayed: 0 },
      { time: iso(START - YEAR), counted: 0, quarantined: 0, dropped: 1, replayed: 0 },
    ]);
    expect(answer.sample.map(({ what, offset, time }) => [what, offset, time])).toEqual([
      ['dropped', 3, iso(START - YEAR)],
      ['dropped', 2, iso(START - 65_001)],
    ]);
    expect(answer.sample[0]!.line).toContain(iso(START - YEAR));
    const narrow = await late(stream, { from: iso(START - MINUTE - 10_000), every: '1m', limit: 1 });
    expect(narrow.sample).toHaveLength(1);
    expect(narrow.counts.map(({ dropped }) => dropped)).toEqual([1]);
    await expect(late(stream, { every: '7m' })).rejects.toMatchObject({ code: 'bad-question' });
  });

  it('finds the time of what was quarantined in its line', async () => {
    const stream = await world.define('quarantining', { lateness: { allowed: '1m', then: 'quarantine' } });
    await world.send(stream, [START]);
    expect(await world.send(stream, [START - 3 * 60 * MINUTE])).toMatchObject({ quarantined: 1, late: 1 });
    const { counts, sample } = await late(stream);
    expect(counts).toMatchObject([
      { time: iso(START - 3 * 60 * MINUTE), counted: 0, quarantined: 1, dropped: 0 },
    ]);
    expect(sample).toMatchObject([{ what: 'quarantined', time: iso(START - 3 * 60 * MINUTE) }]);
  });

  it('counts a flood of late events, every one of them', async () => {
    const stream = await world.define('flood');
    await world.send(stream, [START]);
    const flood = Array.from({ length: 5_000 }, (_, index) => START - 2 * MINUTE - index * 1_000);
    await world.send(stream, flood);
    const { counts, sample } = await late(stream, { every: '1d' });
    expect(counts.reduce((sum, { counted }) => sum + counted, 0)).toBe(5_000);
    expect(sample).toEqual([]);
    expect(world.of(stream).atMs).toBe(START);
  });
});

describe('what a stream does with late events', () => {
  /** Half a minute late is allowed, ten minutes and a year are not. */
  const LATE = [START - 30_000, START - 10 * MINUTE, START - YEAR];
  const HOUR = [START - 60 * MINUTE, START] as const;
  const sum = (counts: readonly object[], name: string) =>
    counts.reduce((total, one) => total + (one as Record<string, number>)[name]!, 0);
  const lane = async (stream: StreamDefinition) => {
    const { counts } = await late(stream);
    return ['counted', 'quarantined', 'dropped', 'replayed'].map((name) => sum(counts, name));
  };

  it.each([
    { then: 'count', first: 2, aside: [3, 0, 0, 0], taken: 0, after: [3, 0, 0, 0] },
    { then: 'quarantine', first: 1, aside: [1, 2, 0, 0], taken: 2, after: [3, 0, 0, 2] },
    { then: 'drop', first: 1, aside: [1, 0, 2, 0], taken: 2, after: [3, 0, 0, 2] },
  ])(
    '$then: the numbers, before and after they are taken in',
    async ({ then, first, aside, taken, after }) => {
      const stream = await world.define(`late_${then}`, { lateness: { allowed: '1m', then } });
      const lines = LATE.map((ms) => world.line(ms));
      await world.send(stream, [START]);
      expect(await meta(stream, ...HOUR)).toMatchObject({
        finality: 'final',
        version: 1,
        rows: [{ count: 0 }],
      });
      await world.sendLines(stream, lines);
      const told = { finality: 'corrected', watermark: iso(START) };
      expect(await meta(stream, ...HOUR)).toMatchObject({
        ...{ ...told, late: first, version: 1 + first, rows: [{ count: first }] },
      });
      expect(await lane(stream)).toEqual(aside);

      const { replay } = replaying();
      const forecast = (filter: ReplayRequest['late']) =>
        replay.forecast(DEFAULT_TENANT, stream.name, { late: filter });
      expect(await forecast({})).toMatchObject({ candidates: taken, wouldStore: taken, stillBad: [] });
      expect(await forecast({ fromMs: HOUR[0] })).toMatchObject({ candidates: taken / 2 });
      expect(await lane(stream)).toEqual(aside);
      expect(await replayLate(stream, { toMs: HOUR[0] })).toEqual({ replayed: taken / 2, stillBad: 0 });
      expect(await replayLate(stream)).toEqual({ replayed: taken / 2, stillBad: 0 });
      expect(await replayLate(stream)).toEqual({ replayed: 0, stillBad: 0 });

      const all = { ...told, late: 2, version: 3, duplicates: 0, rows: [{ count: 2 }] };
      expect(await meta(stream, ...HOUR)).toMatchObject(all);
      expect(await lane(stream)).toEqual(after);
      expect((await late(stream)).sample).toEqual([]);
      expect((await late(stream, { state: 'replayed' })).sample.map(({ replayed }) => replayed)).toEqual(
        Array(taken).fill(true),
      );
      // Who sends it once more is told that it is there; what is too late is judged first.
      await world.sendLines(stream, [lines[0]!]);
      expect(await meta(stream, ...HOUR)).toMatchObject({ ...all, duplicates: 1 });
    },
  );

  it('a stream that falls silent: its answers become final, and what comes afterwards corrects them', async () => {
    const stream = await world.define('falls_silent', { watermark: { idle: '30s' }, future: '1m' });
    const begin = world.clock.now();
    await world.send(stream, [begin]);
    const range = [begin - MINUTE, Math.ceil(begin / MINUTE) * MINUTE + MINUTE] as const;
    expect(await meta(stream, ...range)).toMatchObject({ finality: 'open', version: null });
    world.clock.advance(10 * MINUTE);
    await world.reaches(stream, Math.floor((world.clock.now() - 30_000) / 5_000) * 5_000);
    expect(await meta(stream, ...range)).toMatchObject({ finality: 'final', late: 0, rows: [{ count: 1 }] });
    await world.send(stream, [begin + 1, world.clock.now()]);
    expect(await meta(stream, ...range)).toMatchObject({
      finality: 'corrected',
      late: 1,
      rows: [{ count: 2 }],
    });
  });

  it('a clock that is a day ahead for a moment makes nothing final, whatever is sent with its time', async () => {
    const stream = await world.define('jumps', { watermark: { idle: '30s' }, future: '1m' });
    const begin = world.clock.now();
    await world.send(stream, [begin]);
    const range = [begin - MINUTE, Math.ceil(begin / MINUTE) * MINUTE + 2 * MINUTE] as const;
    world.clock.set(24 * 60 * MINUTE);
    await world.send(stream, [begin + 24 * 60 * MINUTE]);
    world.clock.set(-24 * 60 * MINUTE);
    world.clock.advance(1_000);
    await world.moment();
    expect(world.of(stream).atMs).toBeLessThanOrEqual(begin + MINUTE + 1_000);
    expect(await meta(stream, ...range)).toMatchObject({ finality: 'open', rows: [{ count: 1 }] });
  });

  it('an event as far ahead as the stream allows counts and moves the watermark; one beyond it does not', async () => {
    const stream = await world.define('ahead', { future: '1m' });
    const begin = world.clock.now();
    const sent = await world.send(stream, [begin + MINUTE, begin + MINUTE + 1]);
    expect(sent).toMatchObject({ stored: 1, quarantined: 1 });
    expect(world.of(stream).atMs).toBe(begin + MINUTE);
    const end = Math.floor((begin + MINUTE) / MINUTE) * MINUTE;
    expect(await meta(stream, begin - MINUTE, end)).toMatchObject({ finality: 'final' });
    await world.send(stream, [end - 1]);
    expect(await meta(stream, begin - MINUTE, end)).toMatchObject({ finality: 'corrected', late: 1 });
  });
});
