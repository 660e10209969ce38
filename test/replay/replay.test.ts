import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setEventsCompleteSince } from '../../src/catalog/port.ts';
import type { ReplayResult } from '../../src/replay/index.ts';
import { System, TENANT } from './system.ts';

const FIELDS = { id: 'uint64', at: 'timestamp', k: 'string', kind: { type: 'enum', values: ['a', 'b'] } };
const WIDER = { ...FIELDS, kind: { type: 'enum', values: ['a', 'b', 'c'] } };
const STREAM = { fields: FIELDS, eventId: 'id', eventTime: 'at', dedupe: { within: '1h' } };
const BY_K = { by: ['k'], every: '1m', measures: { n: 'count()', ids: 'sum(id)', kinds: 'unique(kind)' } };
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let system: System;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'millrace-replay-'));
  system = new System(directory);
  await system.open();
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.log(system.failures);
  await system.close();
  await rm(directory, { recursive: true, force: true });
});

const event = (id: number, kind = 'a', at = system.clock.atMs) => ({ id, at, k: `k${id % 3}`, kind });
const events = (from: number, to: number, kind = 'a') =>
  Array.from({ length: to - from }, (_, i) => event(from + i, kind));
const resultOf = (run: { readonly result: unknown }) => run.result as ReplayResult;

describe('a replay', () => {
  it('frees what a wider definition accepts, and leaves everything else as it is', async () => {
    await system.define(STREAM, { by_k: BY_K });
    await system.append([...events(0, 10), ...events(10, 15, 'c'), event(3), 'broken']);
    system.clock.atMs += DAY;
    await system.append([...events(20, 30), ...events(30, 33, 'c')]);
    await system.applied();
    expect(await system.count(system.events)).toBe(20);
    await system.widen({ ...STREAM, fields: WIDER });
    const run = await system.replay();
    expect(run.error).toBeNull();
    expect(run.state).toBe('done');
    expect(resultOf(run)).toMatchObject({
      records: 30,
      before: { stored: 20, duplicates: 1, quarantined: 9, lateDropped: 0 },
      after: { stored: 28, duplicates: 1, quarantined: 1, lateDropped: 0 },
      rollups: ['by_k'],
    });
    await system.check();
    // Ingest goes on where it was, and knows the ids that were freed.
    await system.append([event(11, 'c'), event(40), event(31, 'b')]);
    await system.applied();
    expect(await system.count(system.events)).toBe(30);
    await system.check();
  });

  it('decides only the time of arrival that was asked for', async () => {
    await system.define(STREAM, { by_k: BY_K });
    const start = system.clock.atMs;
    for (let hour = 0; hour < 30; hour += 1) {
      system.clock.atMs = start + hour * HOUR;
      await system.append([event(hour * 10, 'c'), event(hour * 10 + 1)]);
    }
    await system.applied();
    await system.widen({ ...STREAM, fields: WIDER });
    const run = await system.replay({
      from: { atMs: start + 20 * HOUR },
      to: { atMs: start + 26 * HOUR },
    });
    expect(resultOf(run)).toMatchObject({ records: 12, ranges: [{ partition: 0, from: 40, to: 52 }] });
    expect(await system.count(system.quarantine)).toBe(24);
    expect(await system.count(system.events, '_offset >= 40 AND _offset < 52')).toBe(12);
    await system.check();
  });

  it('decides only the offsets that were asked for, also within a block', async () => {
    await system.define({ ...STREAM, partitions: 2 }, { by_k: BY_K });
    await system.append(events(0, 10, 'c'), 0);
    await system.append(events(10, 20, 'c'), 1);
    await system.applied();
    await system.widen({ ...STREAM, partitions: 2, fields: WIDER });
    const run = await system.replay({ from: { offsets: { 1: 3 } }, to: { offsets: { 1: 7 } } });
    expect(resultOf(run).ranges).toEqual([{ partition: 1, from: 3, to: 7 }]);
    expect(await system.count(system.events)).toBe(4);
    expect(await system.count(system.events, 'id >= 13 AND id < 17')).toBe(4);
    await system.check();
  });

  it('gives the records within a block the ids that they were given', async () => {
    await system.define({ fields: { k: 'string' } });
    await system.append(Array.from({ length: 20 }, (_, i) => ({ k: `${i}` })));
    await system.applied();
    const before = await system.rows();
    const run = await system.replay({ from: { offsets: { 0: 5 } }, to: { offsets: { 0: 11 } } });
    expect(run.state).toBe('done');
    expect(await system.rows()).toBe(before);
  });

  it('stores an id once: what is outside of the range keeps its place', async () => {
    await system.define(STREAM, { by_k: BY_K });
    await system.append([event(1), event(2, 'c'), event(3, 'c'), event(4, 'c')]);
    system.clock.atMs += HOUR / 2;
    await system.append([event(2), event(7)]);
    system.clock.atMs += 3 * HOUR;
    await system.append([event(3), event(1)]);
    await system.applied();
    await system.widen({ ...STREAM, fields: WIDER });
    const run = await system.replay({ from: { offsets: { 0: 1 } }, to: { offsets: { 0: 4 } } });
    // 2 came again within the horizon and stands; 3 came again long after it, and both count; 4 never came again.
    expect(resultOf(run).after).toEqual({ stored: 2, duplicates: 1, quarantined: 0, lateDropped: 0 });
    expect(await system.count(system.events, 'id = 2')).toBe(1);
    expect(await system.count(system.events, 'id = 3')).toBe(2);
    await system.check();
  });

  it('judges lateness by what was stored before the range', async () => {
    const late = { ...STREAM, lateness: { allowed: '10m', then: 'drop' } };
    await system.define(late, { by_k: BY_K });
    const now = system.clock.atMs;
    await system.append([event(1, 'a', now)]);
    await system.append([event(2, 'a', now - HOUR), event(3, 'c', now - HOUR), event(4, 'c', now)]);
    await system.applied();
    await system.widen({ ...late, fields: WIDER });
    const run = await system.replay({ from: { offsets: { 0: 1 } } });
    expect(resultOf(run).after).toEqual({ stored: 1, duplicates: 0, quarantined: 0, lateDropped: 2 });
    await system.check();
  });

  it('lets events flow meanwhile, and loses and doubles none', async () => {
    await system.define(STREAM, { by_k: BY_K });
    for (let i = 0; i < 20; i += 1)
      await system.append([...events(i * 50, i * 50 + 49), event(5_000 + i, 'c')]);
    await system.applied();
    await system.widen({ ...STREAM, fields: WIDER });
    let flowing = true;
    let sent = 2_000;
    const flow = (async () => {
      while (flowing) {
        // Some ids are those that the replay is about to free.
        await system.append([...events(sent, sent + 3), event(5_000 + (sent % 20))]);
        sent += 3;
        await system.clock.sleep(1);
      }
    })();
    const run = await system.replay();
    flowing = false;
    await flow;
    expect(run.state).toBe('done');
    await system.applied();
    const twice = await system.engine.rows({
      text: `SELECT id, count() AS n FROM ${system.events} GROUP BY id HAVING n > 1`,
    });
    expect(twice).toEqual([]);
    await system.check();
  });

  it('begins anew when the definition changes under it', async () => {
    await system.define(STREAM, { by_k: BY_K });
    await system.append([...events(0, 100), ...events(100, 120, 'c')]);
    await system.applied();
    const { id } = await system.replays.start(TENANT, 's', {});
    const added = { ...WIDER, more: { type: 'string', optional: true } };
    await system.widen({ ...STREAM, fields: added });
    const run = await system.runs.wait(TENANT, id, 60_000);
    expect(run.state).toBe('done');
    expect(await system.count(system.events)).toBe(120);
    await system.check();
  });
});

describe('a replay is refused', () => {
  it('for streams, partitions and ranges that are not there', async () => {
    await expect(system.replays.start(TENANT, 'nobody', {})).rejects.toMatchObject({
      code: 'unknown-stream',
    });
    await system.define(STREAM);
    await expect(system.replay()).rejects.toMatchObject({ code: 'bad-question' });
    await system.append(events(0, 3));
    await system.applied();
    await expect(system.replay({ from: { offsets: { 1: 0 } } })).rejects.toMatchObject({
      code: 'bad-question',
    });
    await expect(system.replay({ from: { offsets: { 0: 3 } } })).rejects.toMatchObject({
      code: 'bad-question',
    });
  });

  it('while the stream is being replayed', async () => {
    await system.define(STREAM);
    await system.append(events(0, 3));
    await system.applied();
    const { id } = await system.replays.start(TENANT, 's', {});
    await expect(system.replay()).rejects.toMatchObject({ code: 'conflict' });
    await system.runs.wait(TENANT, id, 60_000);
    expect((await system.replay()).state).toBe('done');
  });

  it('when retention has dropped the events that would be stored again', async () => {
    await system.define({ ...STREAM, retention: { hot: '2d' } }, { by_k: BY_K });
    const start = system.clock.atMs;
    await system.append(events(0, 3));
    system.clock.atMs = start + 3 * DAY;
    await system.append([event(7, 'c'), event(8)]);
    await system.applied();
    await system.engine.execute({ text: `ALTER TABLE ${system.events} DROP PARTITION 20240501` });
    await setEventsCompleteSince(system.catalog, TENANT, 's', start + 1);
    await expect(system.replay({ from: { offsets: { 0: 0 } } })).rejects.toThrow(/offset 3/);
    // Without a beginning it begins with what is kept, and the rollup keeps the numbers of the forgotten time.
    await system.widen({ ...STREAM, fields: WIDER, retention: { hot: '2d' } });
    const run = await system.replay();
    expect(resultOf(run)).toMatchObject({ records: 2, after: { stored: 2, quarantined: 0 } });
    const [row] = await system.engine.rows<{ n: string }>({
      text: 'SELECT sum(_count) AS n FROM `t_default`.`rollup_by_k_v1` WHERE _tier = 60',
    });
    expect(row!.n).toBe('5');
  });

  it('when it would change a time of which raw has forgotten events', async () => {
    await system.define({ ...STREAM, retention: { hot: '2d' } }, { by_k: BY_K });
    const start = system.clock.atMs;
    await system.append(events(0, 3));
    system.clock.atMs = start + 3 * DAY;
    await system.append([event(7, 'c', start), event(8)]);
    await system.applied();
    await system.engine.execute({ text: `ALTER TABLE ${system.events} DROP PARTITION 20240501` });
    await setEventsCompleteSince(system.catalog, TENANT, 's', start + 1);
    await system.widen({ ...STREAM, fields: WIDER, retention: { hot: '2d' } });
    const before = await system.rows();
    const run = await system.replay();
    expect(run).toMatchObject({ state: 'failed' });
    expect(run.error).toMatch(/rollups still count events/);
    expect(await system.rows()).toBe(before);
  });
});
