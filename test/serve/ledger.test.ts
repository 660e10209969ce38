import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventsTable } from '../../src/store/index.ts';
import { type Parts, startParts, startServer } from './support.ts';

let parts: Parts;
let server: Awaited<ReturnType<typeof startServer>>;
beforeAll(async () => {
  parts = await startParts();
  server = await startServer(parts);
  await server.call('PUT', '/v1/streams/orders', {
    fields: { id: 'string', at: 'timestamp', amount: 'int64' },
    eventId: 'id',
    eventTime: 'at',
    lateness: { allowed: '1h', then: 'drop' },
  });
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

const at = '2024-05-01T12:00:00Z';
const send = (lines: readonly object[], ack = 'stored') =>
  server.call(
    'POST',
    `/v1/streams/orders/events?ack=${ack}`,
    lines.map((line) => JSON.stringify(line)).join('\n'),
    { 'content-type': 'application/x-ndjson' },
  );
const get = (path: string) => server.call('GET', `/v1/streams/orders/${path}`);

describe('the ledger over HTTP', () => {
  let receipt: string;

  it('a request that is taken gets a receipt, and the receipt tells what became of it', async () => {
    await send([{ id: 'a', at, amount: 1 }]);
    const answer = await send([
      { id: 'b', at, amount: 1 },
      { id: 'a', at, amount: 1 },
      { id: 'c', at, amount: 'much' },
      { id: 'd', at: '2024-05-01T10:00:00Z', amount: 1 },
    ]);
    receipt = answer.json.batch;
    expect(receipt).toBe('0-1-4');
    expect((await send([{ id: 'e', at, amount: 1 }], 'none')).json).not.toHaveProperty('batch');
    await send([{ id: 'f', at, amount: 1 }]);
    const { json } = await get(`ledger?batch=${receipt}`);
    expect(json).toMatchObject({
      ...{ batch: receipt, accepted: 4, stored: 1, duplicates: 1, quarantined: 1, late_dropped: 1 },
      ...{ pending: 0, missing: 0, extra: 0, forgotten: 0, balanced: true },
      exceptions: [
        { partition: 0, offset: 2, outcome: 'duplicate', id: 'a' },
        { partition: 0, offset: 3, outcome: 'quarantined', field: 'amount' },
        { partition: 0, offset: 4, outcome: 'late_dropped', id: 'd' },
      ],
    });
  });

  it('adds up what was accepted, minute by minute', async () => {
    const { json } = await get('ledger');
    const sum = { accepted: 7, stored: 4, duplicates: 1, quarantined: 1, late_dropped: 1, pending: 0 };
    expect(json).toMatchObject({ every: '1m', balanced: true, totals: { ...sum, missing: 0, extra: 0 } });
    const byPartition = await get('ledger?every=1d&by=partition&from=-2d&to=now&partition=0');
    expect(byPartition.json.rows.reduce((n: number, row: { accepted: number }) => n + row.accepted, 0)).toBe(
      7,
    );
    expect(byPartition.json.rows[0]).toMatchObject({
      partition: 0,
      balanced: true,
      sealed: false,
      source: 'store',
    });
  });

  it('shows which duplicates there were and what was counted instead', async () => {
    const { json } = await get('duplicates?limit=5');
    expect(json).toMatchObject({
      count: 1,
      duplicates: [
        { partition: 0, offset: 2, id: 'a', time: '2024-05-01T12:00:00.000Z', first: { offset: 0 } },
      ],
      next_cursor: null,
    });
  });

  it('refuses what it does not understand and says where', async () => {
    const paths = async (path: string) => {
      const { status, json } = await get(path);
      return [status, json.issues?.map((issue: { path: string }) => issue.path)];
    };
    expect(await paths('ledger?from=yesterday&to=x')).toEqual([400, ['from', 'to']]);
    expect(await paths('ledger?every=5m')).toEqual([400, ['every']]);
    expect(await paths('ledger?partition=9')).toEqual([400, ['partition']]);
    expect(await paths('ledger?batch=nothing')).toEqual([400, ['batch']]);
    expect(await paths('duplicates?cursor=x')).toEqual([400, ['cursor']]);
    expect((await get('ledger?batch=0-100-1')).status).toBe(404);
    expect((await server.call('GET', '/v1/streams/nobody/ledger')).json.type).toBe(
      '/problems/unknown-stream',
    );
  });

  it('is never silent about a mismatch: the answer, the state and the metrics tell it', async () => {
    const before = await server.call('GET', '/metrics');
    expect(before.text).toContain('millrace_ledger_mismatched_minutes{tenant="default",stream="orders"} 0');
    const last = { stored: 3, duplicates: 1, quarantined: 1, lateDropped: 1 };
    const { ledger } = parts.deps.catalog;
    const stream = 'orders';
    ledger.record(
      parts.tenant,
      stream,
      [
        {
          ...{
            partition: 0,
            startMs: 0,
            widthMs: 60_000,
            from: 0 as never,
            to: 0 as never,
            hash: '0',
            ...last,
          },
          ...{ missing: 1, extra: 0, balanced: false, acknowledged: false, stale: false, checkedAtMs: 0 },
        },
      ],
      ledger.epoch(parts.tenant, stream),
    );
    const metrics = (await server.call('GET', '/metrics')).text;
    expect(metrics).toContain('millrace_ledger_mismatched_minutes{tenant="default",stream="orders"} 1');
    expect(metrics).toMatch(/millrace_ledger_checked_total\{tenant="default",stream="orders"\} \d+/);
    const { json } = await server.call('GET', '/v1/streams/orders');
    expect(json.state.ledger).toEqual({
      balanced: false,
      checked_to: expect.any(String),
      mismatched_minutes: 1,
    });
    const acknowledge = (body: object) => server.call('POST', '/v1/streams/orders/ledger/acknowledge', body);
    expect((await acknowledge({ from: '1970-01-01T00:00:00Z' })).status).toBe(400);
    const range = { from: '1970-01-01T00:00:00Z', to: '1970-01-01T01:00:00Z' };
    expect((await acknowledge(range)).json).toEqual({ acknowledged: 1 });
    expect((await server.call('GET', '/v1/streams/orders')).json.state.ledger.balanced).toBe(true);
    ledger.clear(parts.tenant, stream);
    await removeOne();
    const answer = await get('ledger?only=mismatched');
    expect(answer.json).toMatchObject({ balanced: false, rows: [{ missing: 1, balanced: false }] });
  });

  const removeOne = () =>
    parts.execute(
      `DELETE FROM ${eventsTable(parts.tenant, 'orders')} WHERE _offset = 1 SETTINGS lightweight_deletes_sync = 2`,
    );
});
