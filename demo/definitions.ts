/** The flights of the demo, defined as a user would. The file has no id, and some of its rows are equal: the id is the row's number. */
import { avg, count, defineRollup, defineStream, quantile, sum, t } from '../src/define/index.ts';

export const flights = defineStream('flights', {
  fields: {
    row: t.uint64(),
    date: t.timestamp(),
    delay: t.int64(),
    distance: t.int64(),
    origin: t.string({ maxLength: 5 }),
    destination: t.string({ maxLength: 5 }),
  },
  eventId: 'row',
  eventTime: 'date',
  dedupe: { within: '24h' },
});

export const flightsByTime = defineRollup('flights_by_time', {
  from: flights,
  by: [],
  every: '1m',
  measures: { flights: count(), delay: avg('delay'), delays: quantile('delay'), distance: sum('distance') },
});

export const flightsByRoute = defineRollup('flights_by_route', {
  from: flights,
  by: ['origin', 'destination'],
  every: '1h',
  measures: { flights: count(), delay: avg('delay') },
});
