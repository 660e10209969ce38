import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type ReconcileReport } from '../../src/client/index.ts';
import { eventsTable, rollupTable } from '../../src/store/index.ts';
import { millrace } from '../cli/capture.ts';
import { KEY, type Parts, startParts, startServer } from '../serve/support.ts';

let parts: Parts;
let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  parts = await startParts();
  server = await startServer(parts);
  for (const stream of ['orders', 'visits']) {
    await server.call('PUT', `/v1/streams/${stream}`, {
      fields: { id: 'string', n: 'int64' },
      eventId: 'id',
    });
    const lines = [1, 2, 3].map((n) => JSON.stringify({ id: `e${n}`, n })).join('\n');
    const headers = { 'content-type': 'application/x-ndjson' };
    await server.call('POST', `/v1/streams/${stream}/events?ack=stored`, lines, headers);
  }
  await server.call('PUT', '/v1/rollups/daily', { from: 'orders', every: '1d', measures: { sum: 'sum(n)' } });
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

const drop = () =>
  parts.execute(
    `ALTER TABLE ${eventsTable(parts.tenant, 'orders')} DELETE WHERE n = 2 SETTINGS mutations_sync = 2`,
  );
const cli = (...args: string[]) => millrace(['reconcile', ...args, '--url', server.url, '--key', KEY]);

describe('a reconciliation', { timeout: 60_000 }, () => {
  it('over HTTP: a run that ends within the wait is told at once, and stays to be read', async () => {
    expect((await server.call('GET', '/v1/streams/orders/reconcile')).json).toMatchObject({
      type: '/problems/not-found',
    });
    const answer = await server.call('POST', '/v1/streams/orders/reconcile?wait=30', {});
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ kind: 'reconcile', state: 'done', result: { balanced: true } });
    const newest = await server.call('GET', '/v1/streams/orders/reconcile');
    expect(newest.json.id).toBe(answer.json.id);
    expect((await server.call('POST', '/v1/streams/none/reconcile', {})).status).toBe(404);
    expect((await server.call('POST', '/v1/streams/orders/reconcile', { rollups: ['none'] })).status).toBe(
      404,
    );
    expect((await server.call('POST', '/v1/streams/orders/reconcile', { from: 'soon' })).status).toBe(400);
    expect((await server.call('POST', '/v1/streams/orders/reconcile', { fix: true })).status).toBe(400);
  });

  it('on the command line: every stream; exit code 1 while something differs', async () => {
    const clean = await cli();
    expect(clean).toMatchObject({ code: 0 });
    expect(clean.out).toMatch(/orders: 3 records and 1 rollups compared, no difference\nvisits: 3 records/);
    await drop();
    const found = await cli('orders');
    expect(found.code).toBe(1);
    expect(found.out).toMatch(/1 missing, 1 rollup/);
    expect(found.out).toMatch(/partition 0, offsets 1 to 1: .*the rollups still count 1 event more/);
    expect(found.err).toMatch(/--repair puts right what can be/);
    const repaired = await cli('orders', '--repair');
    expect(repaired.code).toBe(0);
    expect(repaired.out).toMatch(/before: 1 missing, 1 rollup; after: no difference/);
    expect((await server.call('GET', '/v1/streams/orders/stats?fn=sum(n)')).json.rows[0]['sum(n)']).toBe(6);
    const json = await cli('orders', '--json', '--deep');
    expect(JSON.parse(json.out)).toMatchObject({ stream: 'orders', deep: true, balanced: true });
  });

  it('by the client, and as metrics', async () => {
    await parts.execute(
      `INSERT INTO ${rollupTable(parts.tenant, 'daily', 1)} SELECT * FROM ${rollupTable(parts.tenant, 'daily', 1)} WHERE _tier > 0`,
    );
    const client = createClient({ url: server.url, key: KEY });
    const run = await client.reconcile('orders', {}, 30);
    expect((run.result as ReconcileReport).before.counts).toEqual({ rollup: 1 });
    expect((await client.reconciliation('orders')).id).toBe(run.id);
    const metrics = (await server.call('GET', '/metrics')).text;
    expect(metrics).toMatch(
      /millrace_reconcile_differences\{tenant="default",stream="orders",kind="rollup"\} 1/,
    );
    expect(metrics).toMatch(
      /millrace_reconcile_differences\{tenant="default",stream="orders",kind="missing"\} 0/,
    );
    expect(metrics).toMatch(
      /millrace_reconcile_last_timestamp_seconds\{tenant="default",stream="orders"\} \d{10}/,
    );
    await client.reconcile('orders', { repair: true }, 30);
    const after = (await server.call('GET', '/metrics')).text;
    expect(after).toMatch(
      /millrace_reconcile_differences\{tenant="default",stream="orders",kind="rollup"\} 0/,
    );
  });
});
