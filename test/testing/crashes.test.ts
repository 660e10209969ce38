import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  count,
  defineRollup,
  defineStream,
  defineTable,
  defineTrigger,
  defineWindow,
  t,
} from '../../src/define/index.ts';
import { CRASH_POINTS } from '../../src/testing/crash-points.ts';
import { type TestProject, testProject } from '../../src/testing/index.ts';

const orders = defineStream('orders', {
  fields: { id: t.uint64(), at: t.timestamp(), shop: t.string() },
  eventId: 'id',
  eventTime: 'at',
});
const perShop = defineRollup('per_shop', {
  from: orders,
  by: ['shop'],
  every: '1m',
  measures: { n: count() },
});
const perMinute = defineWindow('per_minute', {
  from: orders,
  tumbling: { size: '1m' },
  by: ['shop'],
  measures: { orders: count() },
});
const many = defineTrigger('many', {
  on: { window: perMinute },
  measure: 'orders',
  by: ['shop'],
  when: { above: 2, clear: 1 },
  do: [{ webhook: 'https://shop.example/many' }, { email: ['duty@shop.example'], subject: 'Many' }],
});
const shops = defineTable('shops', { key: 'shop', fields: { shop: t.string(), country: t.string() } });

const NOW = Date.parse('2026-03-01T12:00:00Z');
const some = (n: number, atMs = NOW) =>
  Array.from({ length: n }, (_, i) => ({ id: i + 1, at: new Date(atMs), shop: i % 3 === 0 ? 'b' : 'a' }));

let app: TestProject;
beforeAll(async () => {
  app = await testProject([orders, perShop, perMinute, many, shops], { now: NOW, limits: { streams: 3 } });
});
beforeEach(() => app.reset());
afterAll(() => app.close());

describe('a crash at a point', () => {
  it.each(CRASH_POINTS.filter((point) => point !== 'delivered'))(
    'of an event\'s path, "%s", loses nothing and counts nothing twice',
    async (at) => {
      await app.crash({ at, during: () => app.send('orders', some(9)) });
      const { duplicates, stored } = await app.send('orders', some(9));
      // It was in the log: the system itself has finished it.
      expect([stored, duplicates]).toEqual([0, 9]);
      const { rows, meta } = await app.stats('orders', { fn: 'count', by: 'shop', from: '-1h', to: '+1h' });
      expect(meta.source).toBe('rollup per_shop');
      expect(rows.map((row) => [row.shop, row.count]).toSorted()).toEqual([
        ['a', 6],
        ['b', 3],
      ]);
    },
  );

  it('between the sending of a message and the knowledge of it repeats it under its id', async () => {
    await app.send('orders', some(9));
    await app.crash({ at: 'delivered', during: () => app.advance('5m') });
    await app.advance('5m');
    const ids = app.deliveries().map((one) => one.id);
    expect(ids.length).toBe(new Set(ids).size + 1);
    expect(app.mails().length + app.webhooks().length).toBe(ids.length);
    expect((await app.firings('many')).map((one) => one.status)).toContain('firing');
  });

  it('to which nothing comes is told', async () => {
    await expect(app.crash({ at: 'stored', during: () => app.advance('1s') })).rejects.toThrow(
      /did not come to "stored"/,
    );
    // And nothing is left of it.
    expect((await app.send('orders', some(2))).stored).toBe(2);
  });
});

describe('an advance of a month', { timeout: 240_000 }, () => {
  it('closes windows of minutes as many small ones do', async () => {
    const events = Array.from({ length: 40 }, (_, n) => ({
      id: n + 1,
      at: new Date(NOW - n * 17_000),
      shop: 'a',
    }));
    const expected = new Map<string, number>();
    for (const { at } of events) {
      const start = new Date(Math.floor(at.getTime() / 60_000) * 60_000).toISOString();
      expected.set(start, (expected.get(start) ?? 0) + 1);
    }
    await app.send('orders', events);
    await app.advance('30d');
    const told = await app.closed('per_minute');
    expect(new Map(told.map((one) => [one.window_start, one.orders]))).toEqual(expected);
    // A straggler of a month ago corrects its window, and one that nobody had has its own.
    await app.send('orders', [
      { id: 100, at: new Date(NOW), shop: 'a' },
      { id: 101, at: new Date(NOW + 86_400_000), shop: 'a' },
    ]);
    await app.advance('1m');
    const later = await app.closed('per_minute');
    const corrected = later
      .filter((one) => one.status === 'corrected')
      .map((one) => [one.window_start, one.orders]);
    expect(corrected).toContainEqual([
      new Date(NOW).toISOString(),
      (expected.get(new Date(NOW).toISOString()) ?? 0) + 1,
    ]);
    expect(later.find((one) => one.window_start === new Date(NOW + 86_400_000).toISOString())).toMatchObject({
      orders: 1,
    });
  });
});

describe('tables', () => {
  it('are written, read as they were, and join', async () => {
    const table = app.table('shops');
    expect(await table.put([{ shop: 'a', country: 'de' }])).toEqual({ rows: 1, changed: 1 });
    await app.advance('1h');
    await table.put([{ shop: 'a', country: 'fr' }]);
    expect(await table.rows()).toMatchObject([{ shop: 'a', country: 'fr' }]);
    expect(await table.rows({ at: new Date(NOW) })).toMatchObject([{ country: 'de' }]);
    await app.send('orders', some(1, NOW + 1_000));
    const { rows } = await app.stats('orders', { by: 'shops.country' });
    expect(rows).toEqual([{ 'shops.country': null, count: 1 }]);
    await table.remove('a');
    expect(await table.rows()).toEqual([]);
  });
});

describe('mistakes of a test', () => {
  it('are told with the names that there are', async () => {
    await expect(app.window('per_hour')).rejects.toThrow('its windows are per_minute');
    await expect(app.firings('few')).rejects.toThrow('its triggers are many');
    await expect(app.report('daily')).rejects.toThrow('it has no reports');
    await expect(app.table('orders').rows()).rejects.toThrow('its tables are shops');
  });

  it('are told when it forgot to send or to move the clock', async () => {
    await expect(app.closed('per_minute')).rejects.toThrow('no event of "orders" is stored');
    await app.send('orders', some(1));
    await expect(app.closed('per_minute')).rejects.toThrow(/told nothing of 1 events.*advance.*12:00:00/);
    await app.advance('5m');
    expect(await app.closed('per_minute')).toHaveLength(1);
  });

  it('such as one stream too many are those of the tenant, whose limits can be set', async () => {
    await app.client.putStream('one_more', { fields: { n: 'int64' } }).catch(() => undefined);
    await expect(app.client.putStream('too_many', { fields: { n: 'int64' } })).rejects.toMatchObject({
      type: '/problems/limit-exceeded',
    });
  });
});
