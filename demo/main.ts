/** `npm run demo [-- --exit] [-- --port N]` */
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { SingleBar } from 'cli-progress';
import { askNumbers, createClient, type Loaded, loadFlights, type Numbers } from './run.ts';
import { startDemoServer } from './server.ts';

const { values } = parseArgs({
  options: { exit: { type: 'boolean', default: false }, port: { type: 'string', default: '7070' } },
});

const say = (text = ''): void => {
  process.stdout.write(`${text}\n`);
};
const grouped = (n: number, digits = 0): string =>
  n.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });

const directory = resolve('.millrace/demo');
// Each run begins with nothing, so that its rate is a rate of storing and not of recognising duplicates.
rmSync(directory, { recursive: true, force: true });
mkdirSync(directory, { recursive: true });
const key = `demo_${randomBytes(12).toString('base64url')}`;
const server = await startDemoServer({ directory, port: Number(values.port), key });
const client = createClient({ url: server.url, key });

say('Sending 3,000,000 flights through POST /v1/streams/flights/events');
const loaded = await loadFlights(client, server.url, progress());
const numbers = await askNumbers(client);
tell(loaded, numbers);
say(`\nThe page:  ${server.url}/#key=${key}`);
say(`The API:   ${server.url}/docs   (Authorization: Bearer ${key})`);
if (values.exit) {
  await server.stop();
} else {
  say('\nServing until Ctrl+C.');
  const stop = (): void => void server.stop();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}

function progress(): (share: number, records: number) => void {
  const started = performance.now();
  const rate = (records: number): string =>
    `${grouped(Math.round(records / ((performance.now() - started) / 1_000)))} events/s`;
  if (process.stderr.isTTY) {
    const bar = new SingleBar({
      format: '{bar} {percentage}%  {records}  {rate}  {eta_formatted} left',
      stream: process.stderr,
    });
    bar.start(1_000, 0, { records: '0', rate: '' });
    return (share, records) => {
      bar.update(Math.round(share * 1_000), { records: grouped(records), rate: rate(records) });
      if (share >= 1) bar.stop();
    };
  }
  let told = 0;
  return (share, records) => {
    if (share - told < 0.1 && share < 1) return;
    told = share;
    say(`  ${grouped(share * 100)}%  ${grouped(records)}  ${rate(records)}`);
  };
}

function tell(result: Loaded, counted: Numbers): void {
  say(
    `\naccepted ${grouped(result.accepted)}   rejected ${grouped(result.rejected)}   stored ${grouped(result.stored)}   duplicates ${grouped(result.duplicates)}   quarantined ${grouped(result.quarantined)}`,
  );
  const at = (share: number): string =>
    grouped(
      result.freshnessMs[
        Math.min(result.freshnessMs.length - 1, Math.floor(result.freshnessMs.length * share))
      ] ?? 0,
    );
  say(
    `${grouped(result.accepted / result.seconds)} events/s from the file to visible; freshness p50 ${at(0.5)} ms, p99 ${at(0.99)} ms; all visible ${grouped(result.lastVisibleMs)} ms after the last acknowledgement`,
  );
  say('\nmonth      flights      mean delay   p95 delay (min)');
  for (const month of counted.months) {
    say(
      `${month.month}  ${grouped(month.flights).padStart(10)}  ${grouped(month.mean, 3).padStart(12)}  ${grouped(month.p95, 1).padStart(10)}`,
    );
  }
  say('\nbusiest routes');
  for (const route of counted.routes)
    say(`${route.origin} → ${route.destination}  ${grouped(route.flights).padStart(8)}`);
  say('\nworst days   mean delay (min)   flights');
  for (const day of counted.worstDays)
    say(`${day.day}  ${grouped(day.mean, 2).padStart(14)}  ${grouped(day.flights).padStart(12)}`);
  say(
    `\nin all ${grouped(counted.total.flights)} flights, ${grouped(counted.total.delay)} minutes late, ${grouped(counted.total.distance)} miles`,
  );
  say(`answered from: ${[...new Set(counted.sources)].join(', ')}`);
}
