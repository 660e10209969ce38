/** What an application calls: three small functions over the client. */
import type { Accepted, Fn, Integer, MillraceClient, Moment } from 'millrace/client';

export type Activity = 'view' | 'like' | 'share';

export interface ActivityEvent {
  readonly event_id: string;
  readonly video_id: string;
  readonly user_id: number;
  readonly type: Activity;
  readonly seconds?: number;
  readonly at: Date | string;
}

export interface Range {
  /** RFC 3339, or relative: `-1h`. */
  readonly start?: Moment | undefined;
  readonly end?: Moment | undefined;
}

export interface Counting {
  /** Counts one event; the same `event_id` again counts nothing. */
  countEvent(event: ActivityEvent): Promise<Accepted>;
  processEvents(events: Iterable<ActivityEvent>): Promise<Accepted>;
  /** How many events of a type a video has. */
  getCount(video: string, type: Activity, range?: Range): Promise<Integer>;
  /** A function of a video's events (`count`, `sum(seconds)`, `unique(user_id)`, `rate` …), in buckets of `every`. */
  getStats(
    video: string,
    type: Activity,
    fn: Fn,
    range: Range & { readonly every: string },
  ): Promise<readonly { readonly time: string; readonly value: unknown }[]>;
  /** The most seen videos with what they are about. */
  topVideos(range: {
    readonly start?: Date | string;
    readonly end?: Date | string;
    readonly limit?: number;
  }): Promise<readonly TopVideo[]>;
  /** The channels by how often their videos were seen, and by how many people. */
  topChannels(range?: Range): Promise<readonly TopChannel[]>;
}

export interface TopChannel {
  /** Null: of videos that nobody has told about. */
  readonly channel: unknown;
  readonly views: Integer;
  readonly viewers: Integer;
}

export interface TopVideo {
  readonly video: string;
  /** Null for a video that nobody has told about. */
  readonly title: string | null;
  readonly channel: string | null;
  readonly views: number;
}

/** The dimension table is a relation like the stream. */
const TOP_VIDEOS = `
  SELECT a.video_id AS video, v.title AS title, v.channel AS channel, toUInt32(count()) AS views
  FROM activity AS a LEFT JOIN videos AS v ON v.video_id = a.video_id
  WHERE a.type = 'view' AND a.at >= toDateTime64({from:Float64}, 3) AND a.at < toDateTime64({to:Float64}, 3)
  GROUP BY video, title, channel
  ORDER BY views DESC, video
  LIMIT {limit:UInt32}`;

const secondsOf = (moment: Date | string): number => new Date(moment).getTime() / 1_000;

const of = (video: string, type: Activity) => [`video_id:eq:${video}`, `type:eq:${type}`];

export function createCounting(client: MillraceClient): Counting {
  return {
    countEvent: (event) => client.countEvent('activity', event, { idField: 'event_id' }),
    processEvents: (events) =>
      client.processEvents('activity', events, { idField: 'event_id', ack: 'stored' }),
    getCount: (video, type, { start, end } = {}) =>
      client.getCount('activity', { where: of(video, type), from: start, to: end }),
    getStats: async (video, type, fn, { start, end, every }) => {
      const { rows } = await client.getStats('activity', {
        ...{ fn, every, from: start, to: end },
        where: of(video, type),
      });
      return rows.map((row) => ({ time: row.time, value: (row as Readonly<Record<string, unknown>>)[fn] }));
    },
    topVideos: async ({ start = '1970-01-01', end = new Date(), limit = 10 }) => {
      const text = await client.sql(TOP_VIDEOS, {
        params: { from: secondsOf(start), to: secondsOf(end), limit },
        format: 'ndjson',
      });
      const lines = text.split('\n').filter((line) => line !== '');
      return lines.map((line) => JSON.parse(line) as TopVideo);
    },
    topChannels: async ({ start, end } = {}) => {
      const { rows } = await client.getStats('activity', {
        ...{ fn: ['count', 'unique(user_id)'], by: 'videos.channel', order: '-count' },
        ...{ where: 'type:eq:view', from: start, to: end },
      });
      return rows.map((row) => ({
        channel: row['videos.channel'],
        views: row.count,
        viewers: row['unique(user_id)'],
      }));
    },
  };
}
