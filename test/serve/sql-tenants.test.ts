/** Tenants whose streams have the same names ask in SQL: none sees a row, a name or the existence of what is another's. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HOSTILE } from './sql-hostile.ts';
import { type Call, type Parts, type Reply, startParts } from './support.ts';
import { ACME, OTHER, startTenants, type Tenants } from './tenancy-support.ts';

const MARKERS = { acme: 'MARKER-of-acme', other: 'MARKER-of-other', hidden: 'MARKER-of-hidden-rows' };
const AT_A_TIME = 4;

let parts: Parts;
let server: Tenants;
let acme: Call;
let other: Call;
let filtered: Call;

const ask = (call: Call, query: string) =>
  call('POST', '/v1/sql', { query, params: { t: 't_other.events_x', db: 't_other', f: 'file' } });

beforeAll(async () => {
  const started = await startParts();
  // Some of what is hostile only takes much.
  parts = {
    ...started,
    deps: { ...started.deps, sqlLimits: { timeoutSeconds: 5, memoryBytesMax: 2 ** 27 } },
  };
  server = await startTenants(parts);
  const scopes = ['sql:read'];
  acme = server.as(await server.makeKey(ACME, 'all', { scopes }));
  other = server.as(await server.makeKey(OTHER, 'all', { scopes }));
  const rowFilters = { visits: ['page:eq:/a'] };
  filtered = server.as(await server.makeKey(ACME, 'some', { scopes, rowFilters }));
  for (const tenant of [ACME, OTHER]) {
    const operator = server.operatorFor(tenant);
    const own = MARKERS[tenant as 'acme' | 'other'];
    const fields = { page: 'string', seconds: 'float64', note: 'string' };
    const events = [
      { page: '/a', seconds: 1, note: own },
      { page: '/b', seconds: 2, note: tenant === ACME ? MARKERS.hidden : own },
    ];
    const measures = { visits: 'count()', seconds: 'sum(seconds)' };
    for (const reply of [
      await operator('PUT', '/v1/streams/visits', { fields }),
      await operator('PUT', `/v1/streams/only_${tenant}`, { fields }),
      await operator('PUT', '/v1/rollups/by_page', {
        from: 'visits',
        by: ['page', 'note'],
        every: '1m',
        measures,
      }),
      await operator('POST', '/v1/streams/visits/events?ack=stored', events),
      await operator('POST', `/v1/streams/only_${tenant}/events?ack=stored`, events),
    ]) {
      expect(reply.status, reply.text).toBeLessThan(300);
    }
  }
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

const withoutId = ({ status, text }: Reply) => [status, text.replaceAll(/"request_id":"[^"]*"/g, '')];

describe('tenants who ask in SQL', () => {
  it('read their own under the same names', async () => {
    const query =
      'SELECT v.note AS a, r.note AS b FROM visits AS v JOIN by_page AS r USING (page) ORDER BY page';
    const notes = async (call: Call) => (await ask(call, query)).json.rows;
    expect(await notes(acme)).toEqual([
      { a: MARKERS.acme, b: MARKERS.acme },
      { a: MARKERS.hidden, b: MARKERS.hidden },
    ]);
    expect(await notes(other)).toEqual(Array(2).fill({ a: MARKERS.other, b: MARKERS.other }));
    expect(await notes(filtered)).toEqual([{ a: MARKERS.acme, b: MARKERS.acme }]);
  });

  it('are told of the names of others what they are told of names that nobody has', async () => {
    for (const [asker, theirs] of [
      [acme, 'only_other'],
      [other, 'only_acme'],
      [filtered, 'only_acme'],
      [filtered, 'only_other'],
    ] as const) {
      for (const query of [
        'SELECT * FROM NAME',
        'SELECT NAME.page FROM visits',
        'SELECT 1 IN (SELECT page FROM NAME)',
      ]) {
        const [there, nowhere] = [theirs, 'only_nobody'].map((name) => query.replaceAll('NAME', name));
        const told = withoutId(await ask(asker, there!));
        const missing = withoutId(await ask(asker, nowhere!));
        expect([told[0], String(told[1]).replaceAll(theirs, 'only_nobody')]).toEqual(missing);
      }
    }
  });

  it('are refused whatever is hostile, with no word of others', async () => {
    const queries = Object.values(HOSTILE).flat();
    expect(queries.length).toBeGreaterThan(150);
    const askers = [
      { call: filtered, silent: [MARKERS.hidden, MARKERS.other, 'only_other'] },
      { call: other, silent: [MARKERS.acme, MARKERS.hidden, 't_acme', 'only_acme'] },
      { call: acme, silent: [MARKERS.other, 'only_other'] },
    ];
    const check = async (query: string, index: number) => {
      // Each by one of them, and those that aim at another tenant by all.
      const aimed = /t_other|t_default|events_|stage_|rollup_/.test(query);
      for (const { call, silent } of aimed ? askers : [askers[index % askers.length]!]) {
        const reply = await ask(call, query);
        expect([query.slice(0, 200), reply.status, reply.text.slice(0, 300)]).toEqual([
          query.slice(0, 200),
          400,
          reply.text.slice(0, 300),
        ]);
        for (const word of [...silent, parts.directory, 'stage_', 'guest_of']) {
          if (!query.includes(word)) expect(reply.text.includes(word), `${query}: ${reply.text}`).toBe(false);
        }
      }
    };
    for (let at = 0; at < queries.length; at += AT_A_TIME) {
      await Promise.all(queries.slice(at, at + AT_A_TIME).map((query, index) => check(query, at + index)));
    }
  }, 240_000);

  it('who are suspended are refused, whatever they ask', async () => {
    await parts.deps.tenants.put(OTHER, { state: 'suspended' });
    const answers = [];
    for (const query of ['SELECT 1', 'SELECT * FROM visits', 'SELECT * FROM only_nobody', 'DROP TABLE x']) {
      const reply = await ask(other, query);
      answers.push([reply.status, reply.json.type]);
    }
    expect(new Set(answers.map((one) => JSON.stringify(one))).size).toBe(1);
    expect(answers[0]![0]).toBe(403);
  });
});
