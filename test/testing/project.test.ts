import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { count, defineRollup, defineStream, sum, t } from '../../src/define/index.ts';
import { repeated, shuffled, type TestProject, testProject } from '../../src/testing/index.ts';

const orders = defineStream('orders', {
  fields: {
    id: t.uint64(),
    at: t.timestamp(),
    amount: t.decimal(12, 2),
    country: t.string({ maxLength: 2 }),
  },
  eventId: 'id',
  eventTime: 'at',
});
const revenue = defineRollup('revenue', {
  from: orders,
  by: ['country'],
  every: '1m',
  measures: { orders: count(), amount: sum('amount') },
});

const NOW = '2026-03-01T12:00:00.000Z';
let app: TestProject;
beforeAll(async () => {
  app = await testProject({ streams: [orders], rollups: [revenue] }, { now: NOW });
});
afterAll(() => app.close());

const order = (id: number, secondsAgo = 0) => ({
  id,
  at: new Date(app.now().getTime() - secondsAgo * 1_000),
  amount: '1.10',
  country: id % 2 === 0 ? 'DE' : 'FR',
});
const many = (n: number) => Array.from({ length: n }, (_, i) => order(i + 1, n - i));

describe('a project under test', () => {
  beforeEach(() => app.reset());

  it('answers what was sent, at once, by a clock that stands', async () => {
    const sent = await app.send('orders', many(100));
    expect(sent).toMatchObject({ accepted: 100, stored: 100, duplicates: 0, rejected: 0 });
    expect(app.now().toISOString()).toBe(NOW);
    const { rows, meta } = await app.stats('orders', {
      fn: ['count', 'sum(amount)'],
      by: 'country',
      from: '-1h',
    });
    expect(rows.map((row) => [row.country, row.count, row['sum(amount)']])).toEqual([
      ['DE', 50, 55],
      ['FR', 50, 55],
    ]);
    expect(meta.to).toBe(NOW);
  });

  it('has no events of the test before', async () => {
    expect(await app.count('orders')).toBe(0);
    expect(await app.events('orders')).toEqual([]);
  });

  it('counts duplicates and events out of order once', async () => {
    const sent = await app.send('orders', shuffled(repeated(many(50), { share: 0.5 })));
    expect(sent.stored).toBe(50);
    expect(sent.duplicates).toBeGreaterThan(10);
    expect(await app.count('orders')).toBe(50);
    expect((await app.events('orders')).map((one) => one.id)).toEqual(many(50).map(({ id }) => id));
  });

  it('moves the clock as far as it is told, and what is asked relative to now moves with it', async () => {
    await app.send('orders', many(10));
    await app.advance('59m');
    expect(await app.count('orders', { from: '-1h' })).toBe(10);
    await app.advance('2m');
    expect(await app.count('orders', { from: '-1h' })).toBe(0);
    await app.advanceTo('2026-03-02T00:00:00Z');
    expect(app.now().toISOString()).toBe('2026-03-02T00:00:00.000Z');
  });

  it('finds after a crash everything that was acknowledged, once, and knows its ids', async () => {
    await app.send('orders', many(30));
    await app.crash();
    expect(await app.count('orders')).toBe(30);
    const again = await app.send('orders', many(40));
    expect([again.stored, again.duplicates]).toEqual([10, 30]);
    expect(await app.count('orders', { from: '-1h' })).toBe(40);
  });

  it('crashes in the middle of what is under way, and a producer who sends again is counted once', async () => {
    for (const turns of [0, 6, 20, 60]) {
      await app.reset();
      const sending = app.send('orders', many(20)).then(
        () => 'acknowledged',
        () => 'unknown',
      );
      for (let passed = 0; passed < turns; passed += 1) await new Promise((resolve) => setImmediate(resolve));
      await app.crash();
      const outcome = await sending;
      if (outcome === 'acknowledged') expect(await app.count('orders')).toBe(20);
      await app.send('orders', many(20));
      expect([turns, await app.count('orders')]).toEqual([turns, 20]);
    }
  });

  it('answers questions in SQL', async () => {
    await app.send('orders', many(3));
    expect(
      await app.sql('SELECT country, count() AS n FROM orders GROUP BY country ORDER BY country'),
    ).toEqual([
      { country: 'DE', n: 1 },
      { country: 'FR', n: 2 },
    ]);
  });

  it('tells mistakes as the server does', async () => {
    await expect(app.stats('nothing')).rejects.toThrow(/nothing/);
    expect((await app.send('orders', [{ id: 1 }])).quarantined).toBe(1);
    await expect(testProject([orders])).rejects.toThrow(/is open in this process/);
    expect(() => app.advance('soon')).toThrow(/no duration/);
  });
});
