/** A window's life in a whole system: early results, other clocks, changed definitions, clocks that jump, stragglers. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defineStream, t } from '../../src/define/index.ts';
import { type TestProject, testProject } from '../../src/testing/index.ts';

const points = defineStream('points', {
  fields: { id: t.string(), at: t.timestamp(), station: t.uint64(), value: t.int64() },
  eventId: 'id',
  eventTime: 'at',
  watermark: { idle: false },
});

let app: TestProject;
beforeAll(async () => {
  app = await testProject([points], { now: '2026-03-01T12:00:00Z' });
});
afterAll(() => app?.close());
let isFresh = true;
beforeEach(async () => {
  if (!isFresh) await app.reset();
  isFresh = false;
});

const MEASURES = { measures: { n: 'count()', total: 'sum(value)' } };
const window = (name: string, document: object) =>
  app.client.put('window', name, { from: 'points', ...MEASURES, ...document });
let ids = 0;
const at = (time: string, station = 1, value = 1) => {
  ids += 1;
  return { id: `e${ids}`, at: time.includes('T') ? time : `2026-03-01T${time}Z`, station, value };
};
const send = (...events: readonly object[]) => app.send('points', events);
const told = async (name: string) =>
  (await app.events(name))
    .map((one) => one as Readonly<Record<string, unknown>>)
    .sort((a, b) => Number(a.step) - Number(b.step) || String(a._id).localeCompare(String(b._id)))
    .map(
      ({ window_start, station, n, version, status }) =>
        `${String(window_start).slice(11, 16)}${station === undefined ? '' : ` at ${station}`}: ${n} v${version} ${status}`,
    );
const openNow = async (name: string, query = '') => {
  const answer = (await app.client.request('GET', `/v1/windows/${name}/results?open=true${query}`)) as {
    readonly open: readonly Readonly<Record<string, unknown>>[];
  };
  return answer.open.map(
    ({ window_start, station, n, status }) =>
      `${String(window_start).slice(11, 16)} at ${station}: ${n} ${status}`,
  );
};

describe('results of windows that are open', () => {
  it('are told early as events come, in versions that go on; and on request, without being told', async () => {
    await window('early', { tumbling: { size: '5m' }, by: ['station'], early: '30s' });
    await send(at('12:00:10'), at('12:00:20', 2));
    expect(await told('early')).toEqual([]);
    expect(await openNow('early')).toEqual(['12:00 at 1: 1 open', '12:00 at 2: 1 open']);
    await app.advance('31s');
    expect(await told('early')).toEqual(['12:00 at 1: 1 v1 early', '12:00 at 2: 1 v1 early']);
    await app.advance('5m');
    // Nothing came, nothing is told.
    expect((await told('early')).length).toBe(2);
    await send(at('12:01:00'));
    await app.advance('31s');
    await app.crash();
    await send(at('12:02:00'), at('12:05:00', 3));
    await app.advance('31s');
    expect((await told('early')).slice(2)).toEqual([
      '12:00 at 1: 2 v2 early',
      '12:00 at 1: 3 v3 final',
      '12:00 at 2: 1 v2 final',
      '12:05 at 3: 1 v1 early',
    ]);
    await send(at('12:03:00', 2));
    await app.advance('2s');
    expect((await told('early')).at(-1)).toBe('12:00 at 2: 2 v3 corrected');
    expect(await openNow('early')).toEqual(['12:05 at 3: 1 open']);
  });

  it('are asked of sessions and of sliding windows too', async () => {
    await window('visits', { session: { gap: '2m' }, by: ['station'] });
    await window('moving', { sliding: { size: '10m', slide: '5m' }, by: ['station'] });
    await send(at('12:00:10'), at('12:06:20'), at('12:07:20'));
    await app.advance('2s');
    expect(await told('visits')).toEqual(['12:00 at 1: 1 v1 final']);
    expect(await openNow('visits')).toEqual(['12:06 at 1: 2 open']);
    expect(await openNow('moving')).toEqual(['12:00 at 1: 3 open', '12:05 at 1: 2 open']);
    expect(await openNow('moving', '&limit=1')).toHaveLength(2);
  });
});

describe('windows by other clocks', () => {
  it('count by arrival: the events of an hour ago belong to now, and close as the clock goes on', async () => {
    await window('arrived', { tumbling: { size: '1m' }, time: 'ingestion' });
    await send(at('11:00:00'), at('09:30:00'));
    await app.advance('90s');
    await send(at('11:00:05'));
    await app.crash();
    await app.advance('2m');
    expect(await told('arrived')).toEqual(['12:00: 2 v1 final', '12:01: 1 v1 final']);
    // Nothing of it is ever late.
    await send(at('08:00:00'));
    await app.advance('2m');
    expect((await told('arrived')).slice(2)).toEqual(['12:03: 1 v1 final']);
  });

  it('count by evaluation: each event once, in the slot that ended when it was applied, over crashes', async () => {
    await window('load', { tumbling: { size: '1m' }, time: 'processing' });
    await window('moving', { sliding: { size: '3m', slide: '1m' }, time: 'processing' });
    await send(at('12:00:00'), at('12:00:01'));
    await app.advance('61s');
    await send(at('12:00:02'));
    await app.crash();
    await app.advance('2m');
    expect(await told('load')).toEqual(['12:00: 2 v1 final', '12:01: 1 v1 final']);
    await app.advance('3m');
    const sliding = (await told('moving')).map((one) => one.replace(' v1 final', ''));
    expect(sliding).toEqual(['11:58: 2', '11:59: 3', '12:00: 3', '12:01: 1']);
  });
});

describe('definitions that change', () => {
  it('leave what was told, and tell what closes from then on', async () => {
    await window('w', { tumbling: { size: '5m' }, by: ['station'] });
    await send(at('12:01:00'), at('12:06:00', 1, 5), at('12:06:30', 2, 7));
    expect(await told('w')).toEqual(['12:00 at 1: 1 v1 final']);
    await window('w', { tumbling: { size: '5m' }, measures: { n: 'count()', worst: 'max(value)' } });
    await send(at('12:02:00'), at('12:10:00'));
    await app.advance('2s');
    const rows = await app.window('w', 'all');
    // What closed before is not corrected any more; what was open is told whole under the new one.
    expect(
      rows.map(({ window_start, n, worst, station, version }) => [window_start, n, worst, station, version]),
    ).toMatchInlineSnapshot(`
      [
        [
          "2026-03-01T12:00:00.000Z",
          1,
          null,
          1,
          1,
        ],
        [
          "2026-03-01T12:05:00.000Z",
          2,
          7,
          undefined,
          1,
        ],
      ]
    `);
    // Late events of what closed under the new definition are.
    await send(at('12:07:00', 1, 9));
    await app.advance('2s');
    expect((await app.window('w')).at(-1)).toMatchObject({ n: 3, worst: 9, version: 2, status: 'corrected' });
  });

  it('removed and made again, windows begin anew: the same ids mean new results', async () => {
    const shape = { tumbling: { size: '5m' }, early: '10s' };
    await window('w', shape);
    await send(at('12:01:00'), at('12:06:00'));
    await app.advance('11s');
    expect(await told('w')).toEqual(['12:00: 1 v1 final', '12:05: 1 v1 early']);
    await app.client.remove('window', 'w');
    await window('w', shape);
    await send(at('12:07:00'), at('12:02:00'), at('12:10:00'));
    await app.advance('11s');
    expect(await told('w')).toEqual(['12:05: 2 v1 final', '12:10: 1 v1 early']);
  });
});

describe('windows and time that goes wrong', () => {
  it('take a straggler of a year ago into its window, and nothing else changes', async () => {
    await window('w', { tumbling: { size: '5m' } });
    await window('visits', { session: { gap: '2m' } });
    await send(at('12:01:00'), at('12:30:00'));
    await send(at('2025-03-01T12:01:00Z'));
    await app.advance('2s');
    expect(await told('w')).toEqual(['12:00: 1 v1 final', '12:00: 1 v1 corrected']);
    expect(await told('visits')).toEqual(['12:01: 1 v1 final', '12:01: 1 v1 corrected']);
    expect((await app.window('w')).map((one) => one.window_start)).toEqual([
      '2025-03-01T12:00:00.000Z',
      '2026-03-01T12:00:00.000Z',
    ]);
  });

  it('stand while a stream is silent that waits for everybody, and go on when it speaks', async () => {
    await window('w', { tumbling: { size: '5m' } });
    await send(at('12:01:00'));
    await app.advance('20m');
    expect(await told('w')).toEqual([]);
    await send(at('12:30:00'));
    expect(await told('w')).toEqual(['12:00: 1 v1 final']);
  });

  it('follow the events when the clock is set forward and back', async () => {
    await window('w', { tumbling: { size: '5m' }, early: '10s' });
    await window('arrived', { tumbling: { size: '5m' }, time: 'ingestion' });
    await send(at('12:01:00'));
    await app.setClock('2026-03-03T12:00:00Z');
    await app.advance('11s');
    await send(at('12:02:00'));
    await app.advance('11s');
    await app.setClock('2026-03-01T12:03:00Z');
    await app.advance('11s');
    await send(at('12:03:00'), at('12:06:00'));
    await app.advance('11s');
    await send(at('12:04:00'));
    await app.advance('11s');
    const all = await told('w');
    expect(all.at(-1)).toBe('12:00: 4 v4 corrected');
    expect(all.filter((one) => one.includes('early')).length).toBeGreaterThan(2);
    // Every event is in one window of arrival, or waits for its end.
    await app.setClock('2026-03-03T13:00:00Z');
    await app.advance('11s');
    const arrived = await app.window('arrived');
    expect(arrived.reduce((sum, one) => sum + Number(one.n), 0)).toBe(5);
  });
});
