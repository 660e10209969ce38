import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { defineReport, defineStream, t } from '../../src/define/index.ts';
import { type TestProject, testProject } from '../../src/testing/index.ts';

const orders = defineStream('orders', {
  fields: {
    order_id: t.string(),
    at: t.timestamp(),
    merchant: t.string(),
    amount: t.decimal(12, 2),
    big: t.uint64(),
  },
  eventId: 'order_id',
  eventTime: 'at',
});
const channels = defineStream('channels', {
  fields: { video: t.string(), channel: t.string() },
  eventId: 'video',
});
const views = defineStream('views', {
  fields: { view_id: t.string(), at: t.timestamp(), video: t.string() },
  eventId: 'view_id',
  eventTime: 'at',
});

const merchants = defineReport('merchants', {
  title: 'Merchants',
  questions: {
    totals: {
      stream: orders,
      stats: { fn: ['count', 'sum(amount)', 'max(big)'], by: 'merchant', order: 'merchant' },
      chart: 'bar',
    },
    course: { stream: orders, stats: { fn: 'count', every: '{step}' }, chart: 'line' },
    first: {
      sql: 'SELECT merchant, min(at) AS first, {least:Int32} AS least FROM orders WHERE at >= {from:DateTime64(3)} AND at < {to:DateTime64(3)} GROUP BY merchant ORDER BY merchant',
    },
  },
  parameters: { step: '1m', least: 3 },
  period: '10m',
  cron: '*/10 * * * *',
  delay: '1m',
  email: { to: ['boss@shop.example'], subject: 'Every ten minutes' },
});
const topVideos = defineReport('top_videos', {
  questions: {
    top: {
      sql: `SELECT c.channel AS channel, v.video AS video, count() AS views
            FROM views AS v LEFT JOIN channels AS c ON v.video = c.video
            WHERE v.at >= {from:DateTime64(3)} AND v.at < {to:DateTime64(3)}
            GROUP BY channel, video ORDER BY views DESC, video`,
    },
  },
  period: '1h',
  cron: '0 * * * *',
});

let app: TestProject;

beforeAll(async () => {
  app = await testProject([orders, channels, views, merchants, topVideos], { now: '2024-03-01T12:01:30Z' });
});
afterAll(() => app.close());
beforeEach(() => app.reset());

const order = (id: string, at: string, merchant: string, amount = '1.10') => ({
  ...{ order_id: id, at: `2024-03-01T${at}Z`, merchant, amount, big: '18446744073709551615' },
});
const textOf = async (report: string, id: string, format: 'json' | 'csv' | 'html', question?: string) =>
  Buffer.from(await app.client.reports.result(report, id, { format, question })).toString('utf8');

describe('reports', () => {
  it('the ten-minute report of merchants runs when its delay has passed, about the ten minutes before', async () => {
    await app.send('orders', [
      order('a', '12:00:10', 'm1'),
      order('b', '12:03:00', 'm1', '2.25'),
      order('c', '12:09:59.999', 'm2'),
    ]);
    await app.advanceTo('2024-03-01T12:10:59Z');
    await app.send('orders', [order('d', '12:10:00', 'm1')]);
    expect(await app.client.reports.runs('merchants')).toEqual([]);
    await app.advance('1s');
    const [run] = await app.client.reports.runs('merchants');
    expect(run).toMatchObject({
      ...{ state: 'done', reason: 'schedule', version: 1, missed: 0, error: null },
      period: { from: '2024-03-01T12:00:00.000Z', to: '2024-03-01T12:10:00.000Z', tz: 'UTC' },
    });
    const json = JSON.parse(await textOf('merchants', run!.id, 'json'));
    expect(json.questions.totals.rows).toEqual([
      { merchant: 'm1', count: 2, 'sum(amount)': 3.35, 'max(big)': 18446744073709552000 },
      { merchant: 'm2', count: 1, 'sum(amount)': 1.1, 'max(big)': 18446744073709552000 },
    ]);
    expect(json.questions.course.rows).toHaveLength(10);
    expect(await textOf('merchants', run!.id, 'csv', 'totals')).toBe(
      '"merchant","count","sum(amount)","max(big)"\n"m1",2,3.35,18446744073709551615\n"m2",1,1.1,18446744073709551615\n',
    );
    expect(await textOf('merchants', run!.id, 'csv', 'first')).toBe(
      '"merchant","first","least"\n"m1","2024-03-01T12:00:10.000Z",3\n"m2","2024-03-01T12:09:59.999Z",3\n',
    );
    for (const file of run!.files) {
      const bytes = await app.client.reports.result('merchants', run!.id, {
        ...{ format: file.format, question: file.question ?? undefined },
      });
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(file.sha256);
    }
  });

  it('the hourly report of videos joins them with their channels', async () => {
    await app.send('channels', [
      { video: 'v1', channel: 'news' },
      { video: 'v2', channel: 'music' },
    ]);
    await app.send(
      'views',
      ['v1', 'v1', 'v2', 'v3'].map((video, n) => ({ view_id: `${n}`, at: '2024-03-01T12:30:00Z', video })),
    );
    await app.advanceTo('2024-03-01T13:00:00Z');
    const [run] = await app.client.reports.runs('top_videos');
    expect(await textOf('top_videos', run!.id, 'csv')).toBe(
      '"channel","video","views"\n"news","v1",2\n"music","v2",1\n,"v3",1\n',
    );
    expect(Object.keys(run!.data_version!)).toEqual(['channels', 'views']);
  });

  it('asked again with the same data version it gives the same bytes; newer events make it stale, and the next version', async () => {
    await app.send('orders', [order('a', '12:00:10', '<script>'), order('b', '12:03:00', 'm1', '2.25')]);
    const period = { from: '2024-03-01T12:00:00Z', to: '2024-03-01T12:10:00Z' };
    const first = await app.client.reports.run('merchants', period);
    expect(first).toMatchObject({ state: 'done', reason: 'demand' });
    expect((await app.client.reports.get('merchants', first.id)).stale).toBe(false);
    expect(await textOf('merchants', first.id, 'html')).not.toContain('<script');
    await app.send('orders', [order('c', '12:09:00', 'm1')]);
    expect((await app.client.reports.get('merchants', first.id)).stale).toBe(true);
    const again = await app.client.reports.run('merchants', { ...period, data_version: first.data_version });
    expect(again.version).toBe(2);
    expect(again.files).toEqual(first.files);
    const newest = await app.client.reports.run('merchants', period);
    expect(newest.files.map(({ sha256 }) => sha256)).not.toEqual(first.files.map(({ sha256 }) => sha256));
    expect(await textOf('merchants', newest.id, 'csv', 'totals')).toContain('"m1",2,3.35');
  });

  it('a scheduled run starts once, whether the process dies before or behind it', async () => {
    await app.crash();
    await app.advanceTo('2024-03-01T12:11:00Z');
    await app.crash();
    await app.advance('1m');
    expect(
      (await app.client.reports.runs('merchants')).map(({ state, version }) => [state, version]),
    ).toEqual([['done', 1]]);
  });
});
