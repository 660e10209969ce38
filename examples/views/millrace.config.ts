/** Views, likes and shares of videos: counted as they come, for each video and for each channel. */
import { count, defineReport, defineRollup, defineStream, defineTable, sum, t, unique } from 'millrace';

export const activity = defineStream('activity', {
  fields: {
    event_id: t.string({ maxLength: 64 }),
    video_id: t.string({ maxLength: 32 }),
    user_id: t.uint64(),
    type: t.enum('view', 'like', 'share'),
    seconds: t.uint64().optional(),
    at: t.timestamp(),
  },
  eventId: 'event_id', // a player that sends again is counted once
  eventTime: 'at',
  partitionBy: 'video_id',
});

/** What `getCount` and `getStats` are answered from: kept by minute, hour and day as events arrive. */
export const byVideo = defineRollup('by_video', {
  from: activity,
  by: ['video_id', 'type'],
  every: '1m',
  measures: { events: count(), seconds: sum('seconds'), viewers: unique('user_id') },
});

/** What the numbers are about. */
export const videos = defineTable('videos', {
  key: 'video_id',
  fields: {
    video_id: t.string({ maxLength: 32 }),
    title: t.string(),
    channel: t.string(),
  },
});

/** Every hour: the ten videos that were seen most, with their titles and channels. */
export const topVideos = defineReport('top_videos', {
  title: 'Top videos of the hour',
  questions: {
    videos: {
      sql: `
        SELECT a.video_id AS video, v.title AS title, v.channel AS channel, count() AS views
        FROM activity AS a LEFT JOIN videos AS v ON v.video_id = a.video_id
        WHERE a.type = 'view' AND a.at >= {from:DateTime64(3)} AND a.at < {to:DateTime64(3)}
        GROUP BY video, title, channel
        ORDER BY views DESC, video
        LIMIT 10`,
      chart: 'bar',
    },
  },
  period: '1h',
  cron: '0 * * * *',
  delay: '1m',
});
