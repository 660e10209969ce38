import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Counting, createCounting } from '../../examples/views/counting.ts';
import { activityOf, videoList } from '../../examples/views/generator.ts';
import * as project from '../../examples/views/millrace.config.ts';
import { repeated, shuffled, type TestProject, testProject } from '../../src/testing/index.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const HOUR = 3_600_000;
const hour = { start: new Date(NOW - HOUR), end: new Date(NOW) };
const events = [...activityOf({ count: 600, videos: 8, fromMs: NOW - HOUR, toMs: NOW })];
const seen = (video: string, type: string) =>
  events.filter((one) => one.video_id === video && one.type === type);

let app: TestProject;
let counting: Counting;
beforeAll(async () => {
  app = await testProject(project, { now: NOW });
});
beforeEach(async () => {
  await app.reset();
  counting = createCounting(app.client);
});
afterAll(() => app.close());

describe('the example of views', () => {
  it('counts each event once, in whatever order and however often players send it', async () => {
    const sent = await counting.processEvents(shuffled(repeated(events)));
    expect(sent.stored).toBe(events.length);
    await app.crash();
    for (const video of ['v1', 'v8'])
      for (const type of ['view', 'like', 'share'] as const)
        expect(await counting.getCount(video, type, hour)).toBe(seen(video, type).length);
    expect((await counting.countEvent(events[0]!)).accepted).toBe(1);
    await app.settle();
    expect(await counting.getCount('v1', 'view')).toBe(seen('v1', 'view').length);
  });

  it('answers functions of a video in buckets, from the rollup', async () => {
    await counting.processEvents(events);
    const rows = await counting.getStats('v1', 'view', 'sum(seconds)', { ...hour, every: '10m' });
    expect(rows.map((row) => row.value)).toEqual(
      Array.from({ length: 6 }, (_, bucket) => {
        const from = NOW - HOUR + bucket * 600_000;
        return seen('v1', 'view')
          .filter(({ at }) => Number(at) >= from && Number(at) < from + 600_000)
          .reduce((sum, one) => sum + one.seconds!, 0);
      }),
    );
    const viewers = await counting.getStats('v1', 'view', 'unique(user_id)', { ...hour, every: '1h' });
    expect(viewers[0]!.value).toBe(new Set(seen('v1', 'view').map((one) => one.user_id)).size);
  });

  it('tells the top videos of an hour with their titles and channels, as the table says', async () => {
    const [unknown, ...told] = videoList(8).toReversed();
    await app.client.tables.put('videos', told);
    await counting.processEvents([...events, { ...events[0]!, event_id: 'later', at: hour.end }]);
    const top = await counting.topVideos({ ...hour, limit: 8 });
    const expected = videoList(8)
      .map(({ video_id, title, channel }) => ({
        video: video_id,
        title: video_id === unknown!.video_id ? null : title,
        channel: video_id === unknown!.video_id ? null : channel,
        views: seen(video_id, 'view').length,
      }))
      .sort((a, b) => b.views - a.views || (a.video < b.video ? -1 : 1));
    expect(top).toEqual(expected);
    await app.client.tables.put('videos', [{ video_id: 'v1', title: 'Renamed', channel: 'Music' }]);
    expect((await counting.topVideos(hour)).find((one) => one.video === 'v1')).toMatchObject({
      title: 'Renamed',
      channel: 'Music',
    });
  });

  it('tells the channels with the numbers of their videos', async () => {
    const videos = videoList(8);
    await app.client.tables.put('videos', videos);
    await counting.processEvents(events);
    const expected = [...new Set(videos.map((one) => one.channel))]
      .map((channel) => {
        const own = videos.filter((one) => one.channel === channel);
        const views = own.flatMap((one) => seen(one.video_id, 'view'));
        return { channel, views: views.length, viewers: new Set(views.map((one) => one.user_id)).size };
      })
      .sort((a, b) => b.views - a.views);
    expect(await counting.topChannels(hour)).toEqual(expected);
  });

  it('reports the top videos of each hour on its schedule', async () => {
    await app.client.tables.put('videos', videoList(8));
    const next = events.map((one) => ({ ...one, at: new Date(new Date(one.at).getTime() + HOUR) }));
    await app.advance('50m');
    await counting.processEvents(next);
    await app.advance('15m');
    const run = (await app.runs('top_videos')).at(-1);
    expect(run).toMatchObject({
      reason: 'schedule',
      state: 'done',
      period: { from: '2026-03-01T12:00:00.000Z' },
    });
    const { questions } = (await app.result('top_videos', run!.id)) as {
      readonly questions: { readonly videos: { readonly rows: readonly Record<string, unknown>[] } };
    };
    expect(questions.videos.rows.map((row) => [row.video, row.channel, Number(row.views)])).toEqual(
      videoList(8)
        .map((one) => [one.video_id, one.channel, seen(one.video_id, 'view').length] as const)
        .sort((a, b) => b[2] - a[2] || (a[0] < b[0] ? -1 : 1)),
    );
  });
});
