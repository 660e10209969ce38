/** The command against the real server. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '../../src/client/index.ts';
import { KEY, type Parts, startParts } from '../serve/support.ts';
import { startTenants, type Tenants } from '../serve/tenancy-support.ts';
import { millrace } from './capture.ts';

let parts: Parts;
let server: Tenants;
beforeAll(async () => {
  parts = await startParts();
  server = await startTenants(parts);
});
afterAll(async () => {
  await server.close();
  await parts.close();
});

const run = (...argv: string[]) =>
  millrace(argv, { environment: { MILLRACE_URL: server.url, MILLRACE_KEY: KEY, MILLRACE_TENANT: 'acme' } });

describe('millrace keys', () => {
  it('makes, lists, rotates and removes keys of the tenant that is named', async () => {
    const operator = createClient({ url: server.url, key: KEY, tenant: 'acme' });
    await operator.putStream('orders', { fields: { merchant: 'uint64' }, dedupe: false });
    expect((await run('keys', 'list')).out).toContain('There are no keys');

    const filter = ['--row-filter', 'orders=merchant:eq:42', '--row-filter', 'orders=merchant:gt:1'];
    const made = await run(
      ...['keys', 'create', 'shop', '--scope', 'stats:read:orders', '--scope', 'events:write', ...filter],
      ...['--origin', 'https://shop.example', '--expires', '90d', '--events-per-second', '10'],
    );
    expect(made).toMatchObject({ code: 0, err: expect.stringContaining('shown this once') });
    const secret = made.out.trim();
    expect(secret).toMatch(/^mr_\w{58}$/);
    const [key] = await operator.keys.list();
    expect(key!.document).toMatchObject({
      scopes: ['stats:read:orders', 'events:write'],
      rowFilters: { orders: ['merchant:eq:42', 'merchant:gt:1'] },
      limits: { eventsPerSecond: 10 },
      origins: ['https://shop.example'],
    });
    const holder = createClient({ url: server.url, key: secret });
    await holder.processEvents('orders', [{ merchant: 42 }, { merchant: 7 }], { ack: 'stored' });
    expect(await holder.getCount('orders')).toBe(1);
    expect(await operator.getCount('orders')).toBe(2);

    const list = await run('keys', 'list');
    expect(list.out).toMatch(/shop +mr_\w{9} +stats:read:orders events:write +orders +20/);
    expect((await run('ledger', 'orders', '--tenant', 'acme')).out).toMatch(/total +2/);
    expect(await run('keys', 'create', 'shop', '--scope', 'stats:read')).toMatchObject({ code: 1, out: '' });

    const turned = JSON.parse((await run('keys', 'rotate', 'shop', '--overlap', '0s', '--json')).out);
    await expect(holder.getCount('orders')).rejects.toMatchObject({ status: 401 });
    expect(await createClient({ url: server.url, key: turned.secret }).getCount('orders')).toBe(1);

    expect(await run('keys', 'remove', 'shop')).toMatchObject({ code: 0, out: 'The key shop is removed.\n' });
    expect((await run('keys', 'remove', 'shop')).code).toBe(1);
    const { entries } = await operator.keys.audit({ limit: 3 });
    expect(entries.map(({ action, outcome }) => [action, outcome])).toEqual([
      ['key.delete', 'refused'],
      ['key.delete', 'done'],
      ['key.rotate', 'done'],
    ]);
  });

  it('says what was called wrongly', async () => {
    expect(await run('keys', 'create', 'x')).toMatchObject({
      code: 2,
      err: expect.stringContaining('--scope'),
    });
    const filter = await run(
      'keys',
      'create',
      'x',
      '--scope',
      'stats:read',
      '--row-filter',
      'merchant:eq:42',
    );
    expect(filter).toMatchObject({ code: 2, err: expect.stringContaining('STREAM=field:op:value') });
    const wrong = await run('keys', 'create', 'x', '--scope', 'stats:reed');
    expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining('did you mean "stats:read"?') });
  });
});
