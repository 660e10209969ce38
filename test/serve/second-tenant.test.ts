/** What is done to a stream of one tenant is done to it as to any other, and to nothing of a tenant that has the same names. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantId } from '../../src/base/brand.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { retainStream } from '../../src/ingest/retention.ts';
import { createLedger } from '../../src/ledger/index.ts';
import { eventsTable } from '../../src/store/index.ts';
import { type Call, type Parts, startParts } from './support.ts';
import { ACME, OTHER, startTenants, type Tenants } from './tenancy-support.ts';

type LedgerParts = Parameters<typeof createLedger>[0];

let parts: Parts;
let server: Tenants;
const STREAM = { fields: { id: 'string', n: 'int64' }, eventId: 'id', retention: { hot: '2d' } };

beforeAll(async () => {
  parts = await startParts();
  server = await startTenants(parts);
  for (const [tenant, factor] of [
    [ACME, 1],
    [OTHER, 100],
  ] as const) {
    const call = server.operatorFor(tenant);
    await call('PUT', '/v1/streams/s', STREAM);
    await call('PUT', '/v1/rollups/r', { from: 's', every: '1m', measures: { n: 'sum(n)' } });
    const events = [1, 2, 3, 3].map((n) => JSON.stringify({ id: `e${n}`, n: n * factor }));
    const lines = [...events, JSON.stringify({ id: 'bad', n: 'many' })].join('\n');
    const taken = await call('POST', '/v1/streams/s/events?ack=stored', lines, {
      'content-type': 'application/x-ndjson',
    });
    expect(taken.json).toMatchObject({ stored: 3, duplicates: 1, quarantined: 1 });
  }
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

async function numbersOf(tenant: TenantId): Promise<unknown> {
  const call = server.operatorFor(tenant);
  const stats = await call('GET', '/v1/streams/s/stats?fn=count&fn=sum(n)&from=2000-01-01');
  const events = await call('GET', '/v1/streams/s/events?limit=10');
  const quarantine = await call('GET', '/v1/streams/s/quarantine');
  const of = (found: { json: { rows?: unknown; events?: unknown } }) => found.json.rows ?? found.json.events;
  return { stats: stats.json.rows, events: of(events), quarantine: quarantine.json.rows };
}

async function reconcile(call: Call, request: object = {}): Promise<Record<string, unknown>> {
  const { json } = await call('POST', '/v1/streams/s/reconcile?wait=30', request);
  expect(json).toMatchObject({ state: 'done' });
  return json.result;
}

describe('of two tenants with the same names', { timeout: 60_000 }, () => {
  it('each has a ledger of its own, which balances', async () => {
    await parts.ledger.round();
    for (const tenant of [ACME, OTHER]) {
      const { json } = await server.operatorFor(tenant)('GET', '/v1/streams/s/ledger');
      expect(json.totals).toMatchObject({
        accepted: 5,
        stored: 3,
        duplicates: 1,
        quarantined: 1,
        pending: 0,
      });
    }
  });

  it('damage to one is found there, and repaired there', async () => {
    const before = await numbersOf(OTHER);
    const sound = await numbersOf(ACME);
    await parts.execute(
      `ALTER TABLE ${eventsTable(ACME, 's')} DELETE WHERE n = 2 SETTINGS mutations_sync = 2`,
    );
    expect(await reconcile(server.operatorFor(OTHER))).toMatchObject({ balanced: true });
    expect(await reconcile(server.operatorFor(ACME))).toMatchObject({ balanced: false });
    await reconcile(server.operatorFor(ACME), { repair: true });
    expect(await reconcile(server.operatorFor(ACME))).toMatchObject({ balanced: true });
    expect(await numbersOf(ACME)).toEqual(sound);
    expect(await numbersOf(OTHER)).toEqual(before);
  });

  it('a replay makes the tables of one anew, with the same numbers', async () => {
    const before = [await numbersOf(ACME), await numbersOf(OTHER)];
    const { json } = await server.operatorFor(ACME)('POST', '/v1/streams/s/replay?wait=30', {});
    expect(json).toMatchObject({ state: 'done' });
    expect([await numbersOf(ACME), await numbersOf(OTHER)]).toEqual(before);
  });

  it('retention forgets the days of one and keeps those of the other', async () => {
    const before = await numbersOf(OTHER);
    const { catalog, log, ingest, engine, tenants, logger } = parts.deps;
    const clock = new ManualClock(Date.now() + 5 * 86_400_000);
    // Only what is sealed is forgotten.
    await createLedger({
      ...{ catalog, log, ingest, engine, clock, tenants, logger },
    } as LedgerParts).round();
    await retainStream(
      { catalog, log, ingest, engine, clock, tenant: ACME } as unknown as Parameters<typeof retainStream>[0],
      catalog.stream(ACME, 's')!.definition,
    );
    const { json } = await server.operatorFor(ACME)('GET', '/v1/streams/s/events?limit=10');
    expect(json.events ?? json.rows).toEqual([]);
    expect(await numbersOf(OTHER)).toEqual(before);
  });
});
