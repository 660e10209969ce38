import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { merchantList, type Order, ordersOf } from '../../examples/merchants/generator.ts';
import * as project from '../../examples/merchants/millrace.config.ts';
import { repeated, shuffled, type TestProject, testProject } from '../../src/testing/index.ts';

const NOON = Date.parse('2026-03-01T12:00:00Z');
const MINUTE = 60_000;
const orders = [...ordersOf({ count: 300, merchants: 4, fromMs: NOON, toMs: NOON + 30 * MINUTE })];

let app: TestProject;
beforeAll(async () => {
  app = await testProject(project, { now: NOON });
});
afterAll(() => app.close());

const cents = ({ amount }: Order): bigint => BigInt(amount.replace('.', ''));
const decimal = (value: bigint): string =>
  `${value / 100n}.${String(value % 100n).padStart(2, '0')}`.replace(/\.?0+$/, '');

/** `merchant,name,paid,orders,refunded` of a period, by a plain loop. */
function expected(fromMs: number): string[] {
  const own = orders.filter(({ at }) => at.getTime() >= fromMs && at.getTime() < fromMs + 10 * MINUTE);
  const sum = (some: readonly Order[]) => some.reduce((total, one) => total + cents(one), 0n);
  return merchantList(4)
    .map(({ merchant_id, name }) => {
      const of = (state: string) =>
        own.filter((one) => one.merchant_id === merchant_id && one.state === state);
      return {
        merchant_id,
        name,
        paid: sum(of('paid')),
        orders: of('paid').length,
        refunded: sum(of('refunded')),
      };
    })
    .sort((a, b) => (a.paid < b.paid ? 1 : -1))
    .map((one) => {
      const known = one.merchant_id === 'm4' ? '' : `"${one.name}"`;
      return `"${one.merchant_id}",${known},${decimal(one.paid)},${one.orders},${decimal(one.refunded)}`;
    });
}

describe('the example of merchants', () => {
  it('reports each ten minutes a minute later, whatever comes twice, and again to the same bytes', async () => {
    await app.client.tables.put('merchants', merchantList(3));
    for (let step = 0; step < 30; step += 5) {
      await app.advance('5m');
      const from = NOON + step * MINUTE;
      const now = orders.filter(({ at }) => at.getTime() >= from && at.getTime() < from + 5 * MINUTE);
      await app.send('orders', shuffled(repeated(now, { share: 0.2, seed: step + 1 })));
      if (step === 10) await app.crash();
    }
    expect((await app.runs('merchant_report')).at(-1)!.period.to).toBe('2026-03-01T12:20:00.000Z');
    await app.advance('1m');
    const runs = (await app.runs('merchant_report')).filter(({ period }) => Date.parse(period.from) >= NOON);
    expect(runs.map(({ state, reason }) => [state, reason])).toEqual(runs.map(() => ['done', 'schedule']));
    expect(runs).toHaveLength(3);
    const csv = async (id: string) => {
      const bytes = await app.client.reports.result('merchant_report', id, {
        format: 'csv',
        question: 'merchants',
      });
      return Buffer.from(bytes).toString('utf8').trimEnd().split('\n').slice(1);
    };
    for (const { id, period } of runs) expect(await csv(id)).toEqual(expected(Date.parse(period.from)));

    await app.client.tables.put('merchants', [{ merchant_id: 'm1', name: 'Renamed', country: 'fr' }]);
    const first = await app.client.reports.get('merchant_report', runs[0]!.id);
    expect(first.stale).toBe(true);
    const { from, to } = first.period;
    const again = await app.client.reports.run('merchant_report', {
      from,
      to,
      data_version: first.data_version,
    });
    expect(again.files).toEqual(first.files);
    const newest = await app.client.reports.run('merchant_report', { from, to });
    expect((await csv(newest.id)).join()).toContain('Renamed');
  });
});
