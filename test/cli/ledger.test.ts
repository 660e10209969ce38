/** The command against the real server. */
import { describe, expect, it } from 'vitest';
import { createClient } from '../../src/client/index.ts';
import { eventsTable } from '../../src/store/index.ts';
import { KEY, serverOfFile } from '../serve/support.ts';
import { millrace } from './capture.ts';

const here = serverOfFile();

const run = (...argv: string[]) =>
  millrace(argv, { environment: { MILLRACE_URL: here.server.url, MILLRACE_KEY: KEY } });

describe('millrace ledger', () => {
  it('adds up as a table and as JSON, and tells the fate of one request', async () => {
    const client = createClient({ url: here.server.url, key: KEY });
    await client.putStream('orders', { fields: { id: 'string', n: 'int64' }, eventId: 'id' });
    expect((await run('ledger', 'orders')).out).toBe('Nothing arrived.\n');
    const { batch } = await client.processEvent('orders', { id: 'a', n: 1 }, { ack: 'stored' });
    expect(batch).toBe('0-0-1');
    await client.processEvents(
      'orders',
      [
        { id: 'a', n: 1 },
        { id: 'b', n: 'x' },
      ],
      { ack: 'stored', idField: 'id' },
    );

    const table = await run('ledger', 'orders', '--by', 'partition', '--every', '1d');
    expect(table).toMatchObject({ code: 0 });
    expect(table.out).toMatch(
      /arrived +partition +accepted +stored +duplicates +quarantined +late dropped +pending +state/,
    );
    expect(table.out).toMatch(/Z +0 +3 +1 +1 +1 +0 +0 +balanced\n/);
    expect(table.out).toMatch(/total +– +3 +1/);
    const json = await run('ledger', 'orders', '--json');
    expect(JSON.parse(json.out)).toMatchObject({ balanced: true, totals: { accepted: 3 } });
    const told = await run('ledger', 'orders', '--batch', '0-0-3');
    expect(told).toMatchObject({ code: 0 });
    expect(told.out).toMatch(/accepted +3\n/);
    expect(told.out).toMatch(/0 +1 +duplicate +an event of this id was stored before +a\n/);
    expect(told.out).toMatch(/0 +2 +quarantined +n: /);
    expect((await run('ledger', 'orders', '--only', 'mismatched')).out).toContain('everything balances');

    const duplicates = await client.duplicates('orders', { limit: 1, from: '-1h' });
    expect(duplicates).toMatchObject({ count: 1, duplicates: [{ id: 'a', first: { offset: 0 } }] });
  });

  it('ends with 1 when it does not balance, and says what repairs it', async () => {
    await here.parts.execute(
      `DELETE FROM ${eventsTable(here.parts.tenant, 'orders')} WHERE _offset = 0 SETTINGS lightweight_deletes_sync = 2`,
    );
    const ran = await run('ledger', 'orders');
    expect(ran.code).toBe(1);
    expect(ran.out).toContain('MISMATCH');
    expect(ran.err).toContain('millrace reconcile orders --repair');
    const batch = await run('ledger', 'orders', '--batch', '0-0-1', '--json');
    expect(batch.code).toBe(1);
    expect(JSON.parse(batch.out)).toMatchObject({ missing: 1, balanced: false });
  });

  it('called wrongly ends with 2, refused with 1', async () => {
    expect((await run('ledger', 'orders', '--every', '5m')).code).toBe(2);
    expect(await run('ledger', 'nobody')).toMatchObject({ code: 1, err: expect.stringContaining('nobody') });
  });
});
