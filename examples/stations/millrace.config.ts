/** Alarms of stations: counted in windows of five minutes, watched, and reported by day, week and month. */
import { count, defineReport, defineStream, defineTrigger, defineWindow, max, t } from 'millrace';

/** One measurement of one datapoint of a station. It is an alarm when the value is above the threshold. */
export const datapoints = defineStream('datapoints', {
  fields: {
    station_id: t.string({ maxLength: 32 }),
    datapoint_id: t.string({ maxLength: 32 }),
    alarm_id: t.string({ maxLength: 64 }),
    event_time: t.timestamp(),
    value: t.float64(),
    valueThreshold: t.float64(),
    isActive: t.bool(),
  },
  eventId: 'alarm_id',
  eventTime: 'event_time',
  partitionBy: 'station_id',
  // Measurements may come a minute out of order before a window closes without them.
  watermark: { delay: '1m' },
  retention: { log: '7d' },
});

/** Alarms by station. What comes later than a minute makes a corrected version of the window. */
export const alarms = defineWindow('alarms', {
  from: datapoints,
  tumbling: { size: '5m' },
  by: ['station_id'],
  where: 'value > valueThreshold',
  measures: { alarms: count(), worst: max('value') },
});

const counted = `
  SELECT station_id, datapoint_id, count() AS alarms, countIf(isActive) AS still_active,
         round(max(value - valueThreshold), 2) AS worst_excess, min(event_time) AS first, max(event_time) AS last
  FROM datapoints
  WHERE event_time >= {from:DateTime64(3)} AND event_time < {to:DateTime64(3)} AND value > valueThreshold
  GROUP BY station_id, datapoint_id
  ORDER BY alarms DESC, station_id, datapoint_id
  LIMIT 100`;
const byStation = `
  SELECT station_id, count() AS alarms
  FROM datapoints
  WHERE event_time >= {from:DateTime64(3)} AND event_time < {to:DateTime64(3)} AND value > valueThreshold
  GROUP BY station_id
  ORDER BY alarms DESC, station_id`;

/** The last hour, when a station has too many alarms. Mailed. */
export const alarmReport = defineReport('alarm_report', {
  title: 'Alarms of the last hour',
  questions: { datapoints: { sql: counted }, stations: { sql: byStation, chart: 'bar' } },
  period: '1h',
  email: { to: ['operator@stations.example'], subject: 'Too many alarms' },
});

/** More than 20 alarms of a station in five minutes; over again when there are fewer than 10. */
export const alarmRate = defineTrigger('alarm_rate', {
  on: { window: alarms },
  measure: 'alarms',
  by: ['station_id'],
  when: { above: 20, clear: 10 },
  do: [{ report: alarmReport }],
});

const batch = (name: string, title: string, period: string, cron: string) =>
  defineReport(name, {
    title,
    questions: { stations: { sql: byStation, chart: 'bar' }, datapoints: { sql: counted } },
    period,
    cron,
    tz: 'Europe/Berlin',
    delay: '5m',
  });

export const daily = batch('alarms_daily', 'Alarms of the day', '1d', '0 0 * * *');
export const weekly = batch('alarms_weekly', 'Alarms of the week', '1w', '0 0 * * 1');
export const monthly = batch('alarms_monthly', 'Alarms of the month', '1mo', '0 0 1 * *');
