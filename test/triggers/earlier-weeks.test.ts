/** Deviation from the same hour of the last weeks, on the real engine: across a change of clocks, with weeks that are missing. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type TestProject, testProject } from '../../src/testing/index.ts';

// Clocks in Berlin went forward on 2026-03-29: nine o'clock there was 08:00Z before, and is 07:00Z since.
const BEFORE = ['2026-03-09', '2026-03-16', '2026-03-23'];
const NOW = '2026-03-30T07:59:00Z';

let app: TestProject;
beforeAll(async () => {
  app = await testProject([], { now: NOW });
});
afterAll(() => app.close());
beforeEach(async () => {
  await app.reset();
  await app.client.put('stream', 'visits', {
    fields: { id: 'string', at: 'timestamp', shop: 'string' },
    ...{ eventId: 'id', eventTime: 'at', watermark: { delay: '0s', idle: '10s' } },
  });
  await app.client.put('window', 'hourly', {
    ...{ from: 'visits', tumbling: { size: '1h' }, measures: { n: 'count()' }, by: ['shop'] },
  });
  const weeks = { factor: 3, weeks: 4 };
  const question = { stream: 'visits', over: '1h', every: '1h' };
  for (const [name, on, by, tz] of [
    ['window_berlin', { window: 'hourly' }, undefined, 'Europe/Berlin'],
    ['window_utc', { window: 'hourly' }, undefined, undefined],
    ['question_berlin', question, ['shop'], 'Europe/Berlin'],
    ['question_utc', question, ['shop'], undefined],
  ] as const)
    await app.client.put('trigger', name, {
      ...{ on, measure: on === question ? 'count' : 'n', ...(by ? { by } : {}) },
      when: { deviates: { ...weeks, ...(tz ? { tz } : {}) } },
    });
});

let made = 0;
const visits = (shop: string, hour: string, many: number) =>
  Array.from({ length: many }, (_, n) => {
    made += 1;
    return { id: `v${made}`, at: new Date(Date.parse(hour) + n * 1_000).toISOString(), shop };
  });
/** Mondays between nine and ten of Berlin, weeks before now. */
const mondays = (shop: string, numbers: readonly number[]) =>
  numbers.flatMap((many, week) => visits(shop, `${BEFORE[week]}T08:00:00Z`, many));
const fired = async (name: string) =>
  (await app.firings(name))
    .filter(({ status }) => status === 'firing')
    .map(({ time, value, group }) => [String(time), value, (group as { shop: string }).shop]);
const END = '2026-03-30T08:00:00.000Z';

it('compares nine o’clock with nine o’clock, whatever the clocks have done in between', async () => {
  await app.send('visits', [
    ...[...mondays('a', [10, 11, 9]), ...mondays('b', [10, 11, 9])],
    ...visits('a', '2026-03-30T07:00:00Z', 60),
    ...visits('b', '2026-03-30T07:00:00Z', 11),
  ]);
  await app.advance('2m');
  expect(await fired('window_berlin')).toEqual([[END, 60, 'a']]);
  expect(await fired('question_berlin')).toEqual([[END, 60, 'a']]);
  // By the clocks of UTC there was nothing at that hour, and so nothing to compare with.
  expect(await fired('window_utc')).toEqual([]);
  expect(await fired('question_utc')).toEqual([]);
  const tested = await app.client.triggers.test('window_berlin', { from: '-20d' });
  expect(tested.firings).toMatchObject([{ group: { shop: 'a' }, fired_at: END, value: 60 }]);
});

it('notices an hour without any visit, leaves missing weeks out, and compares with two at least', async () => {
  await app.send('visits', [
    // `a` was there in all weeks, `b` in two, `c` in one only.
    ...[...mondays('a', [10, 11, 9]), ...mondays('b', [10, 0, 11]), ...mondays('c', [0, 0, 10])],
    ...visits('other', '2026-03-30T06:30:00Z', 1),
  ]);
  await app.advance('2m');
  expect((await fired('window_berlin')).sort()).toEqual([
    [END, 0, 'a'],
    [END, 0, 'b'],
  ]);
  expect((await fired('question_berlin')).sort()).toEqual([
    [END, 0, 'a'],
    [END, 0, 'b'],
  ]);
});
