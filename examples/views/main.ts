/** `npm run example:views [-- --exit] [-- --port N] [-- --events N]` */
import { createClient } from 'millrace/client';
import { readFlags, say, serveUntilStopped, startServer } from '../run-server.ts';
import { createCounting } from './counting.ts';
import { activityOf, videoList } from './generator.ts';

const flags = readFlags({ events: 100_000 });
const HOUR_MS = 3_600_000;
const VIDEOS = 40;

const server = await startServer({ example: 'views', port: flags.port });
const client = createClient({ url: server.url, key: server.key });
const counting = createCounting(client);

await client.tables.put('videos', videoList(VIDEOS));
// The last whole hour and what has gone of this one.
const toMs = Date.now();
const hourMs = Math.floor(toMs / HOUR_MS) * HOUR_MS;
const fromMs = hourMs - HOUR_MS;
const events = [...activityOf({ count: flags.events, videos: VIDEOS, fromMs, toMs })];
const sent = await counting.processEvents(events);
say(`${sent.accepted} events sent, ${sent.stored} stored, ${sent.duplicates} duplicates`);
const again = await counting.processEvents(events.slice(0, 1_000));
say(`1000 of them sent again: ${again.duplicates} duplicates, ${again.stored} stored`);

const hour = { start: new Date(fromMs), end: new Date(hourMs) };
say(
  `\nv1 in the last whole hour: ${await counting.getCount('v1', 'view', hour)} views, ${await counting.getCount('v1', 'like', hour)} likes`,
);
say('\nv1, seconds seen, by ten minutes');
for (const { time, value } of await counting.getStats('v1', 'view', 'sum(seconds)', {
  ...hour,
  every: '10m',
}))
  say(`  ${time}  ${String(value).padStart(8)}`);
say('\nTop videos of the last whole hour');
for (const { video, title, channel, views } of await counting.topVideos({ ...hour, limit: 5 }))
  say(
    `  ${String(video).padEnd(4)} ${String(title).padEnd(22)} ${String(channel).padEnd(10)} ${String(views).padStart(6)}`,
  );
say('\nChannels');
for (const { channel, views, viewers } of await counting.topChannels(hour))
  say(`  ${String(channel).padEnd(10)} ${String(views).padStart(6)} views by ${String(viewers)} people`);

await serveUntilStopped(server, flags.exit);
