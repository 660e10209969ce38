import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantLimits } from '../../src/tenants/port.ts';
import { type Parts, startParts, startServer, VISITS } from './support.ts';

let parts: Parts;
let server: Awaited<ReturnType<typeof startServer>>;
let limits: TenantLimits = {};

beforeAll(async () => {
  parts = await startParts();
  const tenants = { ...parts.deps.tenants, limits: () => limits };
  server = await startServer(parts, { tenants });
  expect((await server.call('PUT', '/v1/streams/visits', VISITS)).status).toBe(201);
});

afterAll(async () => {
  await server.close();
  await parts.close();
});

const LINE = { page: '/', seconds: 1 };
const send = (events: unknown) => server.call('POST', '/v1/streams/visits/events', events);

describe('a limited tenant', () => {
  it('sends until its rate is used up, is told how it stands with every answer, and is refused before its body is read', async () => {
    limits = { eventsPerSecond: 1 };
    const batch = Array.from({ length: 100 }, (_, index) => ({ ...LINE, page: String(index) }));
    const taken = await send(batch);
    expect(taken.status).toBe(202);
    expect(taken.headers.get('ratelimit-policy')).toBe('"tenant-events";q=4;w=4;qu="events"');
    expect(taken.headers.get('ratelimit')).toMatch(/^"tenant-events";r=0;t=\d+$/);
    const refused = await send('this would be no JSON');
    expect(refused).toMatchObject({ status: 429, json: { type: '/problems/rate-limited' } });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(90);
    expect(refused.headers.get('ratelimit')).toMatch(/^"tenant-events";r=0;t=\d+$/);
  });

  it('pays for a body that is refused', async () => {
    limits = { bytesPerSecond: 10 };
    expect((await send('x'.repeat(1_000))).status).toBe(400);
    expect((await send(LINE)).status).toBe(429);
  });

  it('is not limited any more when its limits are lifted, and then its answers say nothing of them', async () => {
    limits = {};
    const taken = await send(LINE);
    expect(taken.status).toBe(202);
    expect(taken.headers.has('ratelimit')).toBe(false);
    expect(taken.headers.has('ratelimit-policy')).toBe(false);
  });

  it('has as many questions under way as it may, of every kind, and the next ones when those have ended', async () => {
    limits = { concurrentQueries: 1 };
    const questions = Array.from({ length: 12 }, (_, index) =>
      index % 2 === 0
        ? server.call('GET', '/v1/streams/visits/stats?by=page')
        : server.call('POST', '/v1/sql', { query: 'SELECT count() FROM visits' }),
    );
    const statuses = (await Promise.all(questions)).map(({ status }) => status);
    expect(statuses).toContain(200);
    expect(statuses).toContain(429);
    for (let i = 0; i < 3; i += 1) {
      const alone = await server.call('GET', '/v1/streams/visits/stats');
      expect(alone.status).toBe(200);
      expect(alone.headers.get('ratelimit-policy')).toBe('"tenant-queries";q=1;qu="concurrent-requests"');
      const sql = await server.call('POST', '/v1/sql', { query: 'SELECT 1' });
      expect(sql.status).toBe(200);
      expect(sql.headers.has('ratelimit')).toBe(true);
    }
  });
});
