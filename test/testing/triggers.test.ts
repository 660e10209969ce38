import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { defineStream, defineTrigger, t } from '../../src/define/index.ts';
import { type TestProject, testProject } from '../../src/testing/index.ts';

const payments = defineStream('payments', {
  fields: { id: t.uint64(), at: t.timestamp(), shop: t.string(), refused: t.bool() },
  eventId: 'id',
  eventTime: 'at',
});
const refusals = defineTrigger('refusals', {
  on: { stream: payments, over: '5m', every: '1m', where: ['refused:eq:true'] },
  measure: 'count',
  by: ['shop'],
  when: { above: 3, clear: 1 },
  do: [{ webhook: 'https://shop.example/refusals' }, { email: ['duty@shop.example'], subject: 'Refusals' }],
});

const NOW = '2026-03-01T12:00:00.000Z';
let app: TestProject;
beforeAll(async () => {
  app = await testProject([payments, refusals], { now: NOW });
});
beforeEach(() => app.reset());
afterAll(() => app.close());

const refused = (shop: string, ids: readonly number[]) =>
  ids.map((id) => ({ id, at: app.now(), shop, refused: true }));

it('a trigger fires when the clock comes to its next question, once, and is over when the number has come back', async () => {
  await app.send('payments', [...refused('a', [1, 2, 3, 4]), ...refused('b', [5, 6])]);
  await app.advance('2m');
  await app.crash();
  await app.advance('10m');
  const firings = await app.firings('refusals');
  expect(firings.map((one) => [one.status, one.group, one.value])).toEqual([
    ['firing', { shop: 'a' }, 4],
    ['resolved', { shop: 'a' }, 0],
  ]);
  expect(new Date(firings[0]!.time).getTime()).toBeLessThanOrEqual(Date.parse(NOW) + 60_000);
  expect(new Date(firings[1]!.time).getTime()).toBeGreaterThan(Date.parse(NOW) + 4 * 60_000);
  expect(app.deliveries().map((one) => [one.kind, one.kind === 'webhook' ? one.type : one.subject])).toEqual([
    ['webhook', 'trigger.firing'],
    ['email', 'Refusals'],
    ['webhook', 'trigger.resolved'],
  ]);
});

it('what cannot be delivered is tried again as time goes by, through a crash', async () => {
  app.failDeliveries('down');
  await app.send('payments', refused('a', [1, 2, 3, 4]));
  await app.advance('2m');
  expect(await app.firings('refusals')).toHaveLength(1);
  expect(app.deliveries()).toEqual([]);
  await app.crash();
  app.failDeliveries(undefined);
  // Tries follow one another at growing distances.
  await app.advance('4m');
  const told = app.deliveries().map((one) => (one.kind === 'webhook' ? one.type : one.subject));
  expect(told.toSorted()).toEqual(['Refusals', 'trigger.firing', 'trigger.resolved']);
  expect(told.indexOf('trigger.firing')).toBeLessThan(told.indexOf('trigger.resolved'));
});

it('another test has no firings of this one', async () => {
  expect(await app.firings('refusals')).toEqual([]);
  expect(app.deliveries()).toEqual([]);
});
