/** Windows by columns of dimension tables, as they were at the event's time. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { count, defineStream, defineTable, defineWindow, t } from '../../src/define/index.ts';
import { type TestProject, testProject } from '../../src/testing/index.ts';

const channels = defineTable('channels', {
  key: 'channel',
  fields: { channel: t.string(), country: t.string().optional(), owner: t.string().optional() },
});
const views = defineStream('views', {
  fields: { id: t.string(), at: t.timestamp(), channel: t.string(), shown_on: t.string() },
  ...{ eventId: 'id', eventTime: 'at' },
});
const measures = { n: count() };
const slots = defineWindow('slots', {
  ...{ from: views, tumbling: { size: '5m' }, by: ['shown_on', 'channels.country'], measures },
});
const visits = defineWindow('visits', {
  ...{ from: views, sliding: { size: '10m', slide: '5m' }, by: ['channels(shown_on).country'], measures },
  where: "channels_shown_on_country != 'fr'",
});

let app: TestProject;
beforeAll(async () => {
  app = await testProject([channels, views, slots, visits], { now: '2026-03-01T12:30:00Z' });
});
afterAll(() => app?.close());

const rows = (validFrom: string, ...all: readonly object[]) =>
  app.client.request('POST', `/v1/tables/channels/rows?valid_from=${validFrom}`, all);
const view = (id: string, time: string, channel: string, shown = channel) => ({
  ...{ id, at: `2026-03-01T${time}Z`, channel, shown_on: shown },
});
const told = async (window: string) =>
  (await app.window(window, 'all'))
    .map(({ window_start, n, version, status, ...one }) => {
      const keys = [one.shown_on, one.channels_country, one.channels_shown_on_country];
      return `${window_start.slice(11, 16)} ${keys.filter((key) => key !== undefined).join(' ')}: ${n} v${version} ${status}`;
    })
    .sort();

describe('windows by columns of tables', () => {
  it('count each event under what was so at its time, the same after a crash and after later changes', async () => {
    await rows('2026-03-01T00:00:00Z', { channel: 'a', country: 'de' }, { channel: 'b', country: 'fr' });
    await rows('2026-03-01T12:02:00Z', { channel: 'a', country: 'at' });
    await app.send('views', [
      ...[view('1', '12:01:00', 'a'), view('2', '12:03:00', 'a'), view('3', '12:03:30', 'a')],
      ...[view('4', '12:01:00', 'b'), view('5', '12:01:30', 'nobody')],
      view('6', '12:10:00', 'a'),
    ]);
    await app.advance('2s');
    const before = [
      '12:00 a at: 2 v1 final',
      '12:00 a de: 1 v1 final',
      '12:00 b fr: 1 v1 final',
      '12:00 nobody : 1 v1 final',
    ];
    expect(await told('slots')).toEqual(before);
    // What satisfies no condition is not there: France, and what is in no table.
    expect(await told('visits')).toEqual([
      ...['11:55 at: 2 v1 final', '11:55 de: 1 v1 final'],
      ...['12:00 at: 2 v1 final', '12:00 de: 1 v1 final'],
    ]);
    await rows('2026-03-01T00:00:00Z', { channel: 'b', country: 'be' });
    await app.crash();
    await app.advance('2s');
    expect(await told('slots')).toEqual(before);
    // Told again, a window knows what the table has learned since.
    await app.send('views', [view('7', '12:02:00', 'b')]);
    await app.advance('2s');
    expect((await told('slots')).filter((one) => !before.includes(one))).toEqual([
      '12:00 b be: 2 v1 corrected',
      '12:00 b fr: null v2 retracted',
    ]);
  });

  it('refuse columns that are none, and hold the table', async () => {
    const refused = (document: object) =>
      app.client
        .put('window', 'other', {
          from: 'views',
          tumbling: { size: '5m' },
          measures: { n: 'count()' },
          ...document,
        })
        .then(
          () => 'taken',
          (error: { readonly message: string }) => error.message,
        );
    expect(await refused({ by: ['channels.land'] })).toMatch(/has no field "land"/);
    expect(await refused({ by: ['channels(nobody).country'] })).toMatch(/has no field "nobody"/);
    expect(await refused({ by: ['others.country'] })).toMatch(/no table|others/);
    const session = { tumbling: undefined, session: { gap: '1m' } };
    expect(await refused({ ...session, by: ['channels.country'] })).toMatch(/sessions go by fields/);
    await expect(app.client.remove('table', 'channels')).rejects.toThrow(/slots|visits/);
  });
});
