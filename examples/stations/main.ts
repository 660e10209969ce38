/** `npm run example:stations [-- --exit] [-- --port N] [-- --minutes N]` */
import { emptyProject, toDocument } from 'millrace';
import { readFlags, say, serveUntilStopped, startServer } from '../run-server.ts';
import { measurements } from './generator.ts';
import { headerOf, openMailbox } from './mailbox.ts';
import { alarmRate, alarmReport, alarms, daily, datapoints, monthly, weekly } from './millrace.config.ts';
import { type Operator, openOperator, sendMeasurements } from './operators.ts';

const { exit, port, minutes } = readFlags({ minutes: 60 });
const MINUTE = 60_000;

// Mails go to the server that MILLRACE_SMTP names, else into a mailbox of this process.
const mailbox = process.env.MILLRACE_SMTP === undefined ? await openMailbox() : undefined;
const server = await startServer({
  example: 'stations',
  port,
  settings:
    mailbox === undefined
      ? {}
      : { MILLRACE_SMTP: mailbox.address, MILLRACE_MAIL_FROM: 'Stations <alarms@stations.example>' },
});

const documents = emptyProject({
  streams: { datapoints: toDocument(datapoints) },
  windows: { alarms: toDocument(alarms) },
  reports: Object.fromEntries(
    [alarmReport, daily, weekly, monthly].map((one) => [one.name, toDocument(one)]),
  ),
  triggers: { alarm_rate: toDocument(alarmRate) },
});
const north = await openOperator(server, 'north', documents);
const south = await openOperator(server, 'south', documents);

// The last whole minutes up to now, in the order of their times: windows close as it is sent.
const toMs = Math.floor(Date.now() / (5 * MINUTE)) * 5 * MINUTE;
const fromMs = toMs - minutes * MINUTE;
const storm = { station: 'station-2', fromMs: toMs - 30 * MINUTE, toMs: toMs - 20 * MINUTE };
for (const [operator, plan] of [
  [north, { storm }],
  [south, { seed: 7 }],
] as const) {
  const sent = await sendMeasurements(
    server.url,
    operator,
    measurements({ stations: 4, datapoints: 5, fromMs, toMs, ...plan }),
  );
  say(
    `${operator.name}: ${sent.accepted} measurements sent, ${sent.stored} stored, ${sent.duplicates} duplicates`,
  );
}

const told = await until(async () => {
  const runs = (await runsOf(north, 'alarm_report')).filter((run) => run.state === 'done');
  return runs.length > 0 && (mailbox === undefined || mailbox.received.length > 0) ? runs : undefined;
});
for (const operator of [north, south]) {
  say(`\n${operator.name}: windows with the most alarms`);
  const { results } = (await operator.client.request('GET', '/v1/windows/alarms/results?limit=1000')) as {
    readonly results: readonly { window_start: string; station_id: string; alarms: number; status: string }[];
  };
  const most = results.toSorted((a, b) => b.alarms - a.alarms).slice(0, 4);
  for (const { window_start, station_id, alarms: count, status } of most)
    say(`  ${window_start}  ${station_id}  ${String(count).padStart(3)}  ${status}`);
  const { events } = await operator.client.events('alarm_rate');
  if (events.length === 0) say('  the trigger did not fire');
  for (const one of events.toReversed())
    say(`  ${String(one.time)}  alarm_rate ${String(one.status)}: ${String(one.label)}`);
}
for (const run of told ?? [])
  say(
    `\nnorth: report alarm_report ${run.id} (${run.reason}) about ${run.period.from} to ${run.period.to}: ${run.state}`,
  );
for (const mail of mailbox?.received ?? [])
  say(`mailed to ${headerOf(mail, 'To')}: ${headerOf(mail, 'Subject')}`);
const day = (await north.client.request('POST', '/v1/reports/alarms_daily/runs?wait=30', {
  from: new Date(fromMs).toISOString(),
  to: new Date(toMs).toISOString(),
})) as Run;
say(
  `north: report alarms_daily on demand: ${day.id} about ${day.period.from} to ${day.period.to}: ${day.state}`,
);

await serveUntilStopped(server, exit, async () => mailbox?.close());

interface Run {
  readonly id: string;
  readonly reason: string;
  readonly state: string;
  readonly period: { readonly from: string; readonly to: string };
}

async function runsOf({ client }: Operator, report: string): Promise<readonly Run[]> {
  return ((await client.request('GET', `/v1/reports/${report}/runs`)) as { readonly runs: readonly Run[] })
    .runs;
}

/** Looks until there is something, for a minute. */
async function until<T>(look: () => Promise<T | undefined>): Promise<T | undefined> {
  for (let tries = 0; tries < 240; tries += 1) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  return undefined;
}
