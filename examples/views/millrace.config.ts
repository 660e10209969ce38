/** Views, likes and shares of videos: counted as they come, for each video and for each channel. */
import { count, defineRollup, defineStream, defineTable, sum, t, unique } from 'millrace';

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
