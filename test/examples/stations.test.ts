import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Datapoint, isAlarm, measurements } from '../../examples/stations/generator.ts';
import * as project from '../../examples/stations/millrace.config.ts';
import { repeated, shuffled, type TestProject, testProject } from '../../src/testing/index.ts';

const MINUTE = 60_000;
/** A Saturday; the clocks in Berlin go forward that night, and the month ends on Tuesday. */
const NOON = Date.parse('2026-03-28T12:00:00Z');
const STEP = 2.5 * MINUTE;
const STORM = { station: 'station-2', fromMs: NOON + 15 * MINUTE, toMs: NOON + 25 * MINUTE };
/** Half an hour of three stations. */
const HALF_AN_HOUR = [
  ...measurements({ stations: 3, datapoints: 5, fromMs: NOON, toMs: NOON + 30 * MINUTE, storm: STORM }),
];

/** By station and window, by a plain loop. */
function alarmsOf(measured: readonly Datapoint[]): Map<string, number> {
  const alarms = new Map<string, number>();
  for (const one of measured.filter(isAlarm)) {
    const start = new Date(Math.floor(one.event_time.getTime() / (5 * MINUTE)) * 5 * MINUTE).toISOString();
    const key = `${start} ${one.station_id}`;
    alarms.set(key, (alarms.get(key) ?? 0) + 1);
  }
  return alarms;
}

let app: TestProject;
const told = async () =>
  new Map((await app.window('alarms')).map((one) => [`${one.window_start} ${one.station_id}`, one.alarms]));
/** Measurements arrive as time passes: at each step those of the step, out of order, some of them twice. */
async function live(measured: readonly Datapoint[], crashAt: readonly number[] = []): Promise<void> {
  for (let step = 1; step * STEP <= 30 * MINUTE; step += 1) {
    await app.advance(STEP);
    const until = NOON + step * STEP;
    const now = measured.filter(({ event_time: at }) => at.getTime() >= until - STEP && at.getTime() < until);
    await app.send('datapoints', shuffled(repeated(now, { share: 0.2, seed: step }), step));
    if (crashAt.includes(step)) await app.crash();
  }
}

beforeAll(async () => {
  app = await testProject(project, { now: NOON });
});
beforeEach(() => app.reset());
afterAll(() => app.close());

describe('the example of stations', { timeout: 240_000 }, () => {
  it('tells the alarms of each station in five minutes once the watermark has passed them, through crashes', async () => {
    await live(HALF_AN_HOUR, [3, 7, 10]);
    // The last window waits for the minute of lateness.
    const open = new Date(NOON + 25 * MINUTE).toISOString();
    const expected = alarmsOf(HALF_AN_HOUR);
    expect(await told()).toEqual(new Map([...expected].filter(([key]) => !key.startsWith(open))));
    // The stations fall silent: it closes by the clock.
    await app.advance('10m');
    expect(await told()).toEqual(expected);
    expect((await app.window('alarms', 'all')).every((one) => one.status === 'final')).toBe(true);
  });

  it('corrects a window when measurements come later than the minute', async () => {
    const late = HALF_AN_HOUR.filter((one) => isAlarm(one) && one.event_time.getTime() < NOON + 5 * MINUTE);
    await live(HALF_AN_HOUR.filter((one) => !late.includes(one)));
    await app.send('datapoints', late);
    await app.advance('10m');
    expect(await told()).toEqual(alarmsOf(HALF_AN_HOUR));
    const corrected = (await app.window('alarms')).filter((one) => one.status === 'corrected');
    expect(new Set(corrected.map((one) => one.window_start))).toEqual(
      new Set([new Date(NOON).toISOString()]),
    );
  });

  it('fires once for the station with too many alarms, runs the report and mails it', async () => {
    await live(HALF_AN_HOUR, [9]);
    await app.advance('10m');
    const firings = await app.firings('alarm_rate');
    expect(firings.map((one) => [one.status, one.group.station_id])).toEqual([
      ['firing', 'station-2'],
      ['resolved', 'station-2'],
    ]);
    const runs = await app.runs('alarm_report');
    expect(runs.map((run) => [run.reason, run.state])).toEqual([['trigger', 'done']]);
    const mails = app.deliveries().filter((one) => one.kind === 'email');
    expect(mails.map((mail) => [mail.to, mail.subject])).toEqual([
      [['operator@stations.example'], 'Too many alarms'],
    ]);
    expect(mails[0]!.attachments.map((one) => one.name)).toContain('alarm_report-stations.csv');
  });

  it('reports days, weeks and months on their schedules, in the zone of the operator', async () => {
    await app.send('datapoints', HALF_AN_HOUR);
    await app.advanceTo('2026-03-31T22:10:00Z');
    const daily = await app.runs('alarms_daily');
    expect(daily.map((run) => [run.state, run.period.from, run.period.to])).toEqual([
      ['done', '2026-03-27T23:00:00.000Z', '2026-03-28T23:00:00.000Z'],
      ['done', '2026-03-28T23:00:00.000Z', '2026-03-29T22:00:00.000Z'],
      ['done', '2026-03-29T22:00:00.000Z', '2026-03-30T22:00:00.000Z'],
      ['done', '2026-03-30T22:00:00.000Z', '2026-03-31T22:00:00.000Z'],
    ]);
    const { questions } = (await app.result('alarms_daily', daily[0]!.id)) as Result;
    const alarms = new Map<string, number>();
    for (const { station_id } of HALF_AN_HOUR.filter(isAlarm))
      alarms.set(station_id, (alarms.get(station_id) ?? 0) + 1);
    const { rows } = questions.stations;
    expect(new Map(rows.map((row) => [row.station_id, Number(row.alarms)]))).toEqual(alarms);
    expect((await app.runs('alarms_weekly')).map((run) => run.period)).toMatchObject([
      { from: '2026-03-22T23:00:00.000Z', to: '2026-03-29T22:00:00.000Z' },
    ]);
    expect((await app.runs('alarms_monthly')).map((run) => run.period)).toMatchObject([
      { from: '2026-02-28T23:00:00.000Z', to: '2026-03-31T22:00:00.000Z' },
    ]);
  });
});

interface Result {
  readonly questions: {
    readonly stations: {
      readonly rows: readonly { readonly station_id: string; readonly alarms: unknown }[];
    };
  };
}
