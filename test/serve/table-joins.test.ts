/** Numbers by columns of tables, over the whole server: held to plain loops over the same events. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Call, type Parts, startParts } from './support.ts';
import { ACME, startTenants, type Tenants } from './tenancy-support.ts';

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2025, 0, 6);
const EVENTS = Array.from({ length: 400 }, (_, n) => ({
  at: START_MS + n * 7 * 60_000,
  video: n % 9 === 0 ? null : `v${(n * 7) % 13}`,
  other: `v${(n * 5) % 11}`,
  viewer: `u${(n * n) % 37}`,
  seconds: (n * 31) % 101,
}));
/** v10 to v12 have no row. */
const VIDEOS = Array.from({ length: 10 }, (_, n) => ({
  id: `v${n}`,
  ...(n === 4 ? {} : { country: ['de', 'fr', 'us'][n % 3]! }),
  length: n * 60,
}));
type Event = (typeof EVENTS)[number];

let parts: Parts;
let server: Tenants;
let call: Call;
beforeAll(async () => {
  parts = await startParts();
  server = await startTenants(parts);
  call = server.operatorFor(ACME);
  const made = [
    await call('PUT', '/v1/tables/videos', {
      key: 'id',
      fields: {
        id: 'string',
        country: { type: 'string', optional: true },
        length: { type: 'int32', optional: true },
      },
    }),
    await call('PUT', '/v1/streams/views', {
      fields: {
        at: 'timestamp',
        video: { type: 'string', optional: true },
        other: 'string',
        viewer: 'string',
        seconds: 'int32',
      },
      eventTime: 'at',
      dedupe: false,
    }),
    await call('POST', '/v1/streams/views/events?ack=stored', EVENTS),
    await call('PUT', '/v1/rollups/by_video', {
      from: 'views',
      by: ['video'],
      every: '1m',
      measures: {
        n: 'count()',
        s: 'sum(seconds)',
        u: 'unique(viewer)',
        q: 'p50(seconds)',
        t: 'top(viewer,5)',
      },
    }),
    await call('POST', '/v1/tables/videos/rows', VIDEOS),
  ];
  expect(made.map(({ status }) => status)).toEqual([201, 201, 200, 201, 200]);
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

const BASE = 'from=2025-01-06&to=2025-01-09';
const ask = async (query: string, as = call) =>
  (await as('GET', `/v1/streams/views/stats?${BASE}&${query}`)).json;
const countryOf = (video: string | null) => VIDEOS.find(({ id }) => id === video)?.country ?? null;

function expected<K>(keyOf: (event: Event) => K, events: readonly Event[] = EVENTS) {
  const groups = new Map<string, { key: K; events: Event[] }>();
  for (const event of events) {
    const key = keyOf(event);
    const text = JSON.stringify(key);
    const group = groups.get(text) ?? { key, events: [] };
    groups.set(text, group);
    group.events.push(event);
  }
  return [...groups.values()].map(({ key, events: own }) => ({
    key,
    count: own.length,
    sum: own.reduce((sum, { seconds }) => sum + seconds, 0),
    unique: new Set(own.map(({ viewer }) => viewer)).size,
  }));
}
const byText = (a: readonly unknown[], b: readonly unknown[]) =>
  JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;

describe('numbers by a column of a table', () => {
  it('are those of a loop over the events, from a rollup and from the events alike; unknown keys are null', async () => {
    const want = expected(({ video }) => countryOf(video))
      .map(({ key, count, sum, unique }) => [key, count, sum, unique])
      .sort(byText);
    const fns = 'fn=count,sum(seconds),unique(viewer)';
    const columns = (rows: Record<string, unknown>[], by: string) =>
      rows.map((row) => [row[by], row.count, row['sum(seconds)'], row['unique(viewer)']]).sort(byText);
    const rollup = await ask(`${fns}&by=videos(video).country`);
    expect(rollup.meta.source).toBe('rollup by_video');
    expect(columns(rollup.rows, 'videos(video).country')).toEqual(want);
    const events = await ask(`${fns}&by=videos(video).country&where=seconds:gte:0`);
    expect(events.meta.source).toBe('events');
    expect(events.rows).toEqual(rollup.rows);
    expect(rollup.columns[0]).toEqual({ name: 'videos(video).country', type: 'string' });
  });

  it('merge quantiles and frequent values exactly', async () => {
    const fns = 'fn=p50(seconds),top(viewer,3)';
    const rollup = await ask(`${fns}&by=videos(video).country`);
    const events = await ask(`${fns}&by=videos(video).country&where=seconds:gte:0`);
    expect([rollup.meta.source, events.meta.source]).toEqual(['rollup by_video', 'events']);
    const sorted = (answer: { rows: object[] }) => answer.rows.map((row) => JSON.stringify(row)).sort();
    expect(sorted(rollup)).toEqual(sorted(events));
  });

  it('come as series, beside fields of the stream and through several tables at once', async () => {
    const { rows } = await ask(
      'every=1d&by=video,videos(video).country,videos(other).length&order=-videos(other).length,time&limit=100000',
    );
    const want = expected(({ at, video, other }) => [
      new Date(at - (at % (24 * HOUR_MS))).toISOString(),
      video,
      countryOf(video),
      VIDEOS.find(({ id }) => id === other)?.length ?? null,
    ]).map(({ key, count }) => [...key, count]);
    const found = rows
      .filter(({ count }: { count: number }) => count > 0)
      .map((row: Record<string, unknown>) => [
        row.time,
        row.video,
        row['videos(video).country'],
        row['videos(other).length'],
        row.count,
      ]);
    expect([...found].sort(byText)).toEqual([...want].sort(byText));
    const lengths = rows.map((row: Record<string, number | null>) => row['videos(other).length']);
    const known = lengths.filter((one: number | null) => one !== null);
    expect(known).toEqual([...known].sort((a: number, b: number) => b - a));
  });

  it('may be cut by one: who has no row, or not the value, satisfies no condition', async () => {
    const count = async (where: string) => (await ask(`where=${where}`)).rows[0].count;
    const among = (holds: (event: Event) => boolean) => EVENTS.filter(holds).length;
    expect(await count('videos(video).country:eq:de')).toBe(among(({ video }) => countryOf(video) === 'de'));
    expect(await count('videos(video).country:ne:de')).toBe(
      among(({ video }) => countryOf(video) !== null && countryOf(video) !== 'de'),
    );
    expect(await count('videos(video).length:gt:120')).toBe(
      among(({ video }) => (VIDEOS.find(({ id }) => id === video)?.length ?? 0) > 120),
    );
    expect(await count('videos(video).country:in:de,fr&where=videos(other).country:like:u%25')).toBe(
      among(({ video, other }) => ['de', 'fr'].includes(countryOf(video) ?? '') && countryOf(other) === 'us'),
    );
    const one = await ask('by=videos(video).country&where=video:in:v1,v11');
    expect(one.rows.map((row: Record<string, unknown>) => row['videos(video).country']).sort()).toEqual([
      'fr',
      null,
    ]);
    const both = await ask('by=videos(video).length&where=videos(video).country:eq:de');
    expect(both.meta.source).toBe('rollup by_video');
    expect(both.rows.length).toBe(VIDEOS.filter(({ country }) => country === 'de').length);
  });

  it('are kept only while the table stands as it is', async () => {
    const query = 'by=videos(video).country';
    const first = await ask(query);
    expect((await ask(query)).meta.cached).toBe(true);
    await call('POST', '/v1/tables/videos/rows', { id: 'v10', country: 'jp' });
    const second = await ask(query);
    expect(second.meta.cached).toBe(false);
    expect(second.rows.map((row: Record<string, unknown>) => row['videos(video).country'])).toContain('jp');
    expect(first.rows.map((row: Record<string, unknown>) => row['videos(video).country'])).not.toContain(
      'jp',
    );
    await call('DELETE', '/v1/tables/videos/rows/v10');
    expect((await ask(query)).rows).toEqual(first.rows);
    expect((await ask(query)).meta.cached).toBe(true);
    await call('POST', '/v1/tables/videos/rows', { id: 'unheard', country: 'zz' });
    expect((await ask('by=video')).meta.cached).toBe(false);
    expect((await ask('by=video')).meta.cached).toBe(true);
    await call('DELETE', '/v1/tables/videos/rows/unheard');
    expect((await ask('by=video')).meta.cached).toBe(true);
  });

  it('are as they were at the time of the event, if wanted', async () => {
    await call('PUT', '/v1/tables/owners', { key: 'other', fields: { other: 'string', owner: 'string' } });
    const [one, two, three] = [0, 12, 30].map((hours) => START_MS + hours * HOUR_MS);
    await call('POST', '/v1/tables/owners/rows', [
      { other: 'v0', owner: 'ann', _valid_from: one },
      { other: 'v0', owner: 'bob', _valid_from: two },
      { other: 'v1', owner: 'cid', _valid_from: two },
    ]);
    await call('DELETE', `/v1/tables/owners/rows/v1?valid_from=${three}`);
    const ownerAt = ({ other, at }: Event) => {
      if (other === 'v0') return at >= two! ? 'bob' : 'ann';
      return other === 'v1' && at >= two! && at < three! ? 'cid' : null;
    };
    const pairs = (answer: { rows: Record<string, unknown>[] }) =>
      answer.rows.map((row) => [row['owners.owner'], row.count]).sort(byText);
    const asof = await ask('by=owners.owner&asof=event');
    expect(pairs(asof)).toEqual(
      expected(ownerAt)
        .map(({ key, count }) => [key, count])
        .sort(byText),
    );
    expect(asof.meta.source).toBe('events');
    const cid = await ask('where=owners.owner:eq:cid&asof=event');
    expect(cid.rows[0].count).toBe(EVENTS.filter((event) => ownerAt(event) === 'cid').length);
    const now = await ask('by=owners.owner');
    expect(pairs(now).map(([owner]) => owner)).toEqual(['bob', null]);
    const series = await ask('every=1d&by=owners.owner&asof=event&where=owners.owner:ne:ann');
    expect(series.rows.reduce((sum: number, { count }: { count: number }) => sum + count, 0)).toBe(
      EVENTS.filter((event) => !['ann', null].includes(ownerAt(event))).length,
    );
  });

  it('at the exact moment from which a version is valid are those of that version, and a millisecond before not', async () => {
    const from = Date.parse('2025-02-01T00:00:00Z');
    const events = [-1, 0, 1].flatMap((ms) => [
      { at: from + ms, id: '18446744073709551615' },
      { at: from + ms, id: '18446744073709551614' },
    ]);
    const made = [
      await call('PUT', '/v1/streams/payments', {
        fields: { at: 'timestamp', id: 'uint64' },
        eventTime: 'at',
        dedupe: false,
      }),
      await call('PUT', '/v1/tables/payers', {
        key: 'id',
        fields: {
          id: 'uint64',
          fee: { type: 'decimal', precision: 10, scale: 2 },
          since: { type: 'timestamp', optional: true },
        },
      }),
      await call('POST', '/v1/tables/payers/rows', [
        {
          id: '18446744073709551615',
          fee: '1.10',
          since: '2025-01-01T02:00:00+02:00',
          _valid_from: from - 1_000,
        },
        { id: '18446744073709551615', fee: '2.20', _valid_from: from },
      ]),
      await call('POST', '/v1/streams/payments/events?ack=stored', events),
    ];
    expect(made.map(({ status }) => status)).toEqual([201, 201, 200, 200]);
    const asked = async (query: string) =>
      (await call('GET', `/v1/streams/payments/stats?from=2025-01-31&to=2025-02-02&${query}`)).json.rows
        .map((row: Record<string, unknown>) => [row['payers.fee'], row.count])
        .sort(byText);
    // Neighbours beyond 2^53 stay apart: the other key has no row.
    expect(await asked('by=payers.fee&asof=event')).toEqual(
      [
        [1.1, 1],
        [2.2, 2],
        [null, 3],
      ].sort(byText),
    );
    expect(await asked('by=payers.fee')).toEqual(
      [
        [2.2, 3],
        [null, 3],
      ].sort(byText),
    );
    expect(await asked('where=payers.fee:gt:2.19&asof=event')).toEqual([[undefined, 2]]);
    const since = await call('GET', `/v1/tables/payers/rows?at=${from - 1}`);
    expect(since.json.rows).toMatchObject([{ since: '2025-01-01T00:00:00.000Z' }]);
    // Corrected afterwards: a version between the two.
    await call('POST', `/v1/tables/payers/rows?valid_from=${from - 1}`, {
      id: '18446744073709551615',
      fee: '9.99',
    });
    expect(await asked('by=payers.fee&asof=event')).toEqual(
      [
        [2.2, 2],
        [9.99, 1],
        [null, 3],
      ].sort(byText),
    );
    // Equal moments: the later request counts.
    await call('POST', `/v1/tables/payers/rows?valid_from=${from}`, {
      id: '18446744073709551615',
      fee: '3.30',
    });
    expect(await asked('by=payers.fee&asof=event')).toEqual(
      [
        [3.3, 2],
        [9.99, 1],
        [null, 3],
      ].sort(byText),
    );
  });

  it('of tables, columns and fields that are not there, or do not fit, are refused with a hint', async () => {
    const why = async (query: string) => (await ask(query)).detail as string;
    expect(await why('by=nothing.country')).toContain('there is no dimension table for "nothing.country"');
    expect(await why('by=videos(video).contry')).toContain('did you mean "country"');
    expect(await why('by=videos.country')).toContain('write videos(FIELD).country');
    expect(await why('by=videos(seconds).country')).toContain('of type int32');
    expect(await why('by=videos(nothing).country')).toContain('no field "nothing"');
    expect(await why('where=videos(video).country:gt:de,fr&where=videos(video).length:eq:x')).toContain(
      'whole number',
    );
    expect(await why('by=videos(video).country&asof=then')).toContain('neither now nor event');
  });

  it('are not for keys that see only some rows', async () => {
    // Nor is a filter a way to what a table says.
    const byTable = server.as(
      await server.makeKey(ACME, 'by_table', {
        scopes: ['stats:read'],
        rowFilters: { views: ['videos(video).country:eq:de'] },
      }),
    );
    const told = await byTable('GET', `/v1/streams/views/stats?${BASE}&fn=count`);
    expect([400, 403]).toContain(told.status);
    expect(told.text).not.toContain('"rows"');
    const filtered = server.as(
      await server.makeKey(ACME, 'filtered', {
        scopes: ['stats:read'],
        rowFilters: { views: ['other:eq:v1'] },
      }),
    );
    for (const query of ['by=videos(video).country', 'where=videos(video).country:eq:de']) {
      const asked = await ask(query, filtered);
      expect(asked.type).toBe('/problems/bad-question');
      const nothing = await ask(query.replace('videos', 'nothing'), filtered);
      expect(asked.detail).toBe(nothing.detail.replace('nothing', 'videos'));
    }
  });
});
