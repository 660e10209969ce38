/** How fresh the rows of a question in SQL are: what numbers of the same streams tell, and never more. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { UNKNOWN } from '../../src/watermarks/port.ts';
import { type Call, type Parts, startParts } from './support.ts';
import { ACME, startTenants, type Tenants } from './tenancy-support.ts';

let parts: Parts;
let server: Tenants;
let operator: Call;
const APPLIED_AT_MS = Date.parse('2024-05-01T12:00:00Z');
const WATERMARKS: Readonly<Record<string, number>> = { behind: 2_000, fresh: 3_000 };

beforeAll(async () => {
  parts = await startParts();
  const { ingest } = parts.deps;
  server = await startTenants(parts, {
    ingest: {
      ...ingest,
      // The newest record waits.
      state: (key) => {
        const state = ingest.state(key);
        if (key.stream !== 'behind' || state.applied < 2) return state;
        return {
          ...state,
          applied: (state.applied - 2) as typeof state.applied,
          appliedReceivedAtMs: APPLIED_AT_MS,
        };
      },
    },
    watermarks: {
      of: (_, stream) => ({ ...UNKNOWN, atMs: WATERMARKS[stream] }),
      heartbeat: async () => undefined,
      watch: () => () => undefined,
    },
  });
  operator = server.operatorFor(ACME);
  for (const name of ['behind', 'fresh', 'waiting']) {
    expect((await operator('PUT', `/v1/streams/${name}`, { fields: { who: 'string' } })).status).toBe(201);
    await operator('POST', `/v1/streams/${name}/events?ack=stored`, [{ who: 'a' }, { who: 'b' }]);
  }
  const rollup = { from: 'behind', by: ['who'], every: '1m', measures: { n: 'count()' } };
  expect((await operator('PUT', '/v1/rollups/of_behind', rollup)).status).toBeLessThan(300);
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

async function freshness(call: Call, query: string) {
  const before = Date.now();
  const reply = await call('POST', '/v1/sql', { query });
  expect(reply.status, reply.text).toBe(200);
  const { meta } = reply.json;
  expect(reply.headers.get('millrace-as-of')).toBe(meta.as_of);
  expect(reply.headers.get('millrace-lag-ms')).toBe(String(meta.lag_ms));
  // Of a stream of which everything is applied: the moment of the question.
  const isNow = Date.parse(meta.as_of) >= before && Date.parse(meta.as_of) <= Date.now();
  return { ...meta, as_of: isNow ? 'now' : meta.as_of, lag_ms: Math.min(meta.lag_ms, 1) };
}

const BEHIND = { as_of: '2024-05-01T12:00:00.000Z', lag_ms: 1 };

it('is that of the stream which is furthest behind, of rollups that of their stream', async () => {
  expect(await freshness(operator, 'SELECT * FROM fresh')).toEqual({
    ...{ as_of: 'now', lag_ms: 0, watermark: '1970-01-01T00:00:03.000Z' },
  });
  const behind = { ...BEHIND, watermark: '1970-01-01T00:00:02.000Z' };
  expect(await freshness(operator, 'SELECT count() FROM of_behind')).toEqual(behind);
  expect(await freshness(operator, 'SELECT count() FROM fresh AS f JOIN behind AS b USING (who)')).toEqual(
    behind,
  );
  expect(await freshness(operator, 'SELECT * FROM fresh WHERE who IN (SELECT who FROM waiting)')).toEqual({
    ...{ as_of: 'now', lag_ms: 0, watermark: null },
  });
  expect(await freshness(operator, 'SELECT 1')).toEqual({ as_of: 'now', lag_ms: 0, watermark: null });
});

it('stands in the headers of every format, where pages of other origins may read it', async () => {
  const origin = 'https://shop.example';
  const key = await server.makeKey(ACME, 'page', { scopes: ['sql:read'], origins: [origin] });
  for (const format of ['json', 'ndjson', 'csv', 'arrow', 'parquet']) {
    const query = 'SELECT * FROM behind';
    const { headers } = await server.as(key)('POST', '/v1/sql', { query, format }, { origin });
    expect(headers.get('millrace-as-of')).toBe(BEHIND.as_of);
    expect(Number(headers.get('millrace-lag-ms'))).toBeGreaterThan(0);
    expect(headers.get('access-control-expose-headers')).toMatch(/Millrace-As-Of, Millrace-Lag-Ms/);
  }
  // Long answers are sent as they come.
  const query = 'SELECT arrayJoin(range(100000)) AS n FROM behind';
  const { headers } = await server.as(key)('POST', '/v1/sql', { query, format: 'ndjson' });
  expect([headers.get('content-length'), headers.get('millrace-as-of')]).toEqual([null, BEHIND.as_of]);
});

it('tells a key with row filters no watermark, and nothing of a stream that it does not see', async () => {
  const rowFilters = { fresh: ['who:eq:a'] };
  const own = server.as(await server.makeKey(ACME, 'own', { scopes: ['sql:read'], rowFilters }));
  expect(await freshness(own, 'SELECT * FROM fresh')).toEqual({ as_of: 'now', lag_ms: 0, watermark: null });
  const named = 'WITH behind AS (SELECT 1 AS a) SELECT a FROM behind';
  expect(await freshness(own, named)).toEqual({ as_of: 'now', lag_ms: 0, watermark: null });
});
