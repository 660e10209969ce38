import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantLimits } from '../../src/tenants/port.ts';
import { createUsageMeter, type UsageMeter } from '../../src/usage/index.ts';
import { type Parts, startParts, startServer } from '../serve/support.ts';

let parts: Parts;
let server: Awaited<ReturnType<typeof startServer>>;
let limits: TenantLimits = {};
let usage: UsageMeter;
let fails = false;

const STREAM = {
  fields: { id: 'string', page: 'string', city: { type: 'string', optional: true }, at: 'timestamp' },
  eventId: 'id',
  eventTime: 'at',
};

beforeAll(async () => {
  parts = await startParts();
  const tenants = { ...parts.deps.tenants, limits: () => limits };
  const { catalog, log, clock, logger, engine } = parts.deps;
  usage = createUsageMeter({
    ...{ catalog, log, clock, logger, tenants },
    engine: { rows: (...asked) => (fails ? Promise.reject(new Error('away')) : engine.rows(...asked)) },
  });
  server = await startServer(parts, { tenants, usage });
  await server.call('PUT', '/v1/streams/visits', STREAM);
  await server.call('PUT', '/v1/streams/other', STREAM);
  const rollup = { from: 'visits', by: ['page', 'city'], every: '1m', measures: { n: 'count()' } };
  expect((await server.call('PUT', '/v1/rollups/by_page', rollup)).status).toBe(201);
  // Ten combinations on the newest day, one of them with nothing; more on the day before.
  const events = Array.from({ length: 200 }, (_, index) => ({
    id: `e${index}`,
    page: `p${index < 150 ? index : index % 9}`,
    ...(index === 199 ? {} : { city: 'Oslo' }),
    at: index < 150 ? '2024-05-01T10:00:00Z' : `2024-05-02T1${index % 10}:00:00Z`,
  }));
  const sent = await server.call('POST', '/v1/streams/visits/events?ack=stored', events);
  expect(sent.json).toMatchObject({ stored: 200 });
});

afterAll(async () => {
  await server.close();
  await parts.close();
});

const send = (stream: string) =>
  server.call('POST', `/v1/streams/${stream}/events`, { id: 'x', page: 'p', at: '2024-05-02T10:00:00Z' });

describe('what a tenant has stored', () => {
  it('is not known before it is measured, and holds nobody up', async () => {
    limits = { storedBytes: 1 };
    expect(usage.usageOf(parts.tenant)).toBeUndefined();
    expect((await send('other')).status).toBe(202);
  });

  it('is the bytes of tables and log; over the limit events are refused and questions go on', async () => {
    await usage.round();
    const known = usage.usageOf(parts.tenant)!;
    expect(known.tableBytes).toBeGreaterThan(1_000);
    expect(known.logBytes).toBeGreaterThan(1_000);
    expect(known.storedBytes).toBe(known.tableBytes + known.logBytes);
    const refused = await send('other');
    expect(refused).toMatchObject({ status: 429, json: { type: '/problems/quota-exceeded' } });
    expect(refused.json.detail).toMatch(/may store 1;.*operator.*"storedBytes"/);
    expect(refused.headers.get('retry-after')).toBe('60');
    expect((await server.call('GET', '/v1/streams/visits/stats')).json.rows).toEqual([{ count: 200 }]);
    const metrics = (await server.call('GET', '/metrics')).text;
    expect(metrics).toContain('millrace_tenant_stored_bytes{tenant="default",where="tables"}');
  });

  it('counts combinations of dimensions of the newest day, and refuses events of the stream that is over', async () => {
    limits = { rollupCardinality: 10 };
    await usage.round();
    expect(usage.usageOf(parts.tenant)!.rollups).toEqual([{ rollup: 'by_page', cardinality: 10 }]);
    expect((await send('visits')).status).toBe(202);
    limits = { rollupCardinality: 9 };
    await usage.round();
    const refused = await send('visits');
    expect(refused).toMatchObject({ status: 429, json: { type: '/problems/quota-exceeded' } });
    expect(refused.json.detail).toMatch(/"by_page" has 10 combinations/);
    expect((await send('other')).status).toBe(202);
  });

  it('keeps what was known when it cannot be measured', async () => {
    const before = usage.usageOf(parts.tenant)!;
    fails = true;
    await usage.round();
    fails = false;
    expect(usage.usageOf(parts.tenant)).toMatchObject({
      tableBytes: before.tableBytes,
      rollups: before.rollups,
    });
    limits = {};
    await usage.round();
    expect((await send('visits')).status).toBe(202);
  });
});
