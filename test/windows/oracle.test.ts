/**
 * Real flights by their time of departure, over a network that delays, doubles and shuffles them, against a plain
 * loop over all of them. The files and the times are real; the network is drawn at random.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventsTable } from '../../src/store/index.ts';
import { makeWorld, TENANT } from './world.ts';

const FLIGHTS = 800;
const FILE = new URL('../../node_modules/vega-datasets/data/flights-3m.parquet', import.meta.url).pathname;
const MINUTE = 60_000;

interface Flight {
  readonly id: string;
  readonly at: number;
  readonly origin: string;
  readonly destination: string;
  readonly delay: number;
}

const STREAM = {
  fields: { id: 'string', at: 'timestamp', origin: 'string', destination: 'string', delay: 'int64' },
  eventId: 'id',
  eventTime: 'at',
  partitions: 2,
};
const MEASURES = {
  measures: {
    ...{
      flights: 'count()',
      delay: 'sum(delay)',
      mean: 'avg(delay)',
      best: 'min(delay)',
      worst: 'max(delay)',
    },
    ...{ places: 'unique(destination)', often: 'top(destination,10)', spread: 'quantile(delay)' },
  },
  by: ['origin'],
};
const WHERE = { where: 'delay > -5' };
const WINDOWS = {
  hourly: { tumbling: { size: '1h' }, ...MEASURES, ...WHERE },
  // Clocks were set back there on the night to the 18th of February 2001.
  daily: { tumbling: { size: '1d' }, tz: 'America/Sao_Paulo', origin: '6h', ...MEASURES, ...WHERE },
  sliding: { sliding: { size: '3h', slide: '1h' }, ...MEASURES, ...WHERE },
  sessions: { session: { gap: '20m', max: '3h' }, ...MEASURES, ...WHERE },
};

let world: Awaited<ReturnType<typeof makeWorld>>;
let flights: readonly Flight[];
beforeAll(async () => {
  // Small enough that steps come in several pieces.
  world = await makeWorld({
    ...{ unitsMax: 20, windowsMax: 16, rowsMax: 150, keysMax: 1_000 },
    sessions: { keysMax: 40, sessionsMax: 100 },
  });
  const rows = await world.engine.rows<{ at: string; origin: string; destination: string; delay: string }>({
    text: `SELECT toString(toUnixTimestamp64Milli(toDateTime64(date, 3, 'UTC'))) AS at, origin, destination, toString(toInt64(delay)) AS delay FROM file('${FILE}', 'Parquet')
WHERE delay IS NOT NULL AND date >= '2001-02-16' AND date < '2001-02-20' ORDER BY cityHash64(date, origin, destination, delay) LIMIT ${FLIGHTS}`,
  });
  flights = rows.map(({ at, origin, destination, delay }, index) => ({
    ...{ id: `f${index}`, at: Number(at), origin, destination, delay: Number(delay) },
  }));
}, 60_000);
afterAll(() => world?.close());

type Window = readonly [startMs: number, endMs: number];
const DAY = 24 * 60 * MINUTE;
const floor = (ms: number, size: number) => Math.floor(ms / size) * size;
/** The day by the clocks on the wall there that begins at six; found by asking what the clocks show. */
const ON_THE_WALL = new Intl.DateTimeFormat('en-CA', {
  ...{ timeZone: 'America/Sao_Paulo', year: 'numeric', month: '2-digit', day: '2-digit' },
  ...{ hour: '2-digit', hourCycle: 'h23' },
});
const days = new Map<number, string>();
function dayOf(ms: number): string {
  const known = days.get(ms);
  if (known !== undefined) return known;
  const shown = Object.fromEntries(ON_THE_WALL.formatToParts(ms).map(({ type, value }) => [type, value]));
  const midnight = Date.UTC(Number(shown.year), Number(shown.month) - 1, Number(shown.day));
  const day = new Date(midnight - (Number(shown.hour) < 6 ? DAY : 0)).toISOString();
  days.set(ms, day);
  return day;
}
function dayAround(ms: number): Window {
  const quarter = 15 * MINUTE;
  let start = floor(ms, quarter);
  const day = dayOf(start);
  let end = start;
  while (dayOf(start - quarter) === day) start -= quarter;
  while (dayOf(end) === day) end += quarter;
  return [start, end];
}
const windowsOf: Readonly<Record<string, (times: readonly number[], ms: number) => readonly Window[]>> = {
  hourly: (_, ms) => [[floor(ms, 60 * MINUTE), floor(ms, 60 * MINUTE) + 60 * MINUTE]],
  daily: (_, ms) => [dayAround(ms)],
  sliding: (_, ms) =>
    [0, 1, 2].map((back) => {
      const start = floor(ms, 60 * MINUTE) - back * 60 * MINUTE;
      return [start, start + 180 * MINUTE];
    }),
  sessions: (times, ms) => {
    let session: [number, number] | undefined;
    let last = 0;
    for (const time of times) {
      if (!session || time - last >= 20 * MINUTE || time - session[0] >= 180 * MINUTE) {
        if (session && ms >= session[0] && ms < session[1]) return [session];
        session = [time, 0];
      }
      last = time;
      session[1] = Math.min(time + 20 * MINUTE, session[0] + 180 * MINUTE);
    }
    return session && ms >= session[0] && ms < session[1] ? [session] : [];
  },
};

interface Found {
  readonly window: string;
  readonly exact: string;
  /** Of p50, p90, p95 and p99: between which values they lie. */
  readonly spread: readonly (readonly [number, number])[];
}

/** Every window by a plain loop. */
function oracle(window: string, stored: ReadonlySet<string>): readonly Found[] {
  const counted = flights.filter(({ id, delay }) => delay > -5 && stored.has(id));
  const found = new Map<string, Flight[]>();
  const timesOf = new Map<string, number[]>();
  for (const { origin, at } of counted) timesOf.set(origin, [...(timesOf.get(origin) ?? []), at]);
  for (const times of timesOf.values()) times.sort((a, b) => a - b);
  for (const flight of counted) {
    for (const [start, end] of windowsOf[window]!(timesOf.get(flight.origin)!, flight.at)) {
      const key = JSON.stringify([new Date(start).toISOString(), new Date(end).toISOString(), flight.origin]);
      found.set(key, [...(found.get(key) ?? []), flight]);
    }
  }
  return [...found].map(([key, own]) => foundOf(key, own)).sort(byWindow);
}

const byWindow = (a: Found, b: Found) => (a.window < b.window ? -1 : 1);
const sum = (values: readonly number[]) => values.reduce((all, one) => all + one, 0);

function foundOf(window: string, own: readonly Flight[]): Found {
  const delays = own.map(({ delay }) => delay).sort((a, b) => a - b);
  const places = new Map<string, number>();
  for (const { destination } of own) places.set(destination, (places.get(destination) ?? 0) + 1);
  const often = [...places].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 10);
  const at = (rank: number) => delays[Math.max(0, Math.min(delays.length - 1, rank))]!;
  return {
    window,
    exact: JSON.stringify([
      ...[own.length, sum(delays), (sum(delays) / own.length).toFixed(9), at(0), at(delays.length - 1)],
      ...[places.size, often],
    ]),
    spread: [0.5, 0.9, 0.95, 0.99].map((level) => {
      const rank = level * (delays.length - 1);
      return [at(Math.floor(rank)), at(Math.ceil(rank))] as const;
    }),
  };
}

type Told = Readonly<Record<string, string>> & {
  readonly often: readonly { readonly value: string; readonly count: number }[];
};

async function expectTold(name: string, stored: ReadonlySet<string>): Promise<void> {
  const [kind = ''] = name.split('_');
  const rows = (await world.results<Told>(name, 'latest'))
    .map((one) => ({
      window: JSON.stringify([one.window_start, one.window_end, one.origin]),
      exact: JSON.stringify([
        ...[Number(one.flights), Number(one.delay), Number(one.mean).toFixed(9), Number(one.best)],
        ...[Number(one.worst), Number(one.places)],
        one.often.map(({ value, count }) => [value, Number(count)]),
      ]),
      spread: [one.spread_p50, one.spread_p90, one.spread_p95, one.spread_p99].map(Number),
    }))
    .sort((a, b) => (a.window < b.window ? -1 : 1));
  const wanted = oracle(kind, stored);
  const exactly = ({ window, exact }: { window: string; exact: string }) => `${window} ${exact}`;
  expect(rows.map(exactly), name).toEqual(wanted.map(exactly));
  // The sketch is right to one part in a hundred.
  for (const [index, { spread }] of rows.entries())
    for (const [level, value] of spread.entries()) {
      const [low, high] = wanted[index]!.spread[level]!;
      expect(value).toBeGreaterThanOrEqual(low - Math.abs(low) * 0.011 - 1e-6);
      expect(value).toBeLessThanOrEqual(high + Math.abs(high) * 0.011 + 1e-6);
    }
}

describe('windows over real flights', () => {
  it('tell what a plain loop over all of them finds, however late, doubled and shuffled they come', async () => {
    const network = fc.record({
      seed: fc.integer(),
      batches: fc.integer({ min: 3, max: 5 }),
      /** Out of order by up to so much, of which the watermark knows `patience`. */
      disorderMs: fc.integer({ min: 3 * 60 * MINUTE, max: 6 * 60 * MINUTE }),
      patienceMs: fc.integer({ min: 0, max: 60 * MINUTE }),
      then: fc.constantFrom('count', 'drop', 'quarantine'),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(network, async ({ seed, batches, disorderMs, patienceMs, then }) => {
        run += 1;
        const stream = `flights_${run}`;
        await world.registry.put(TENANT, 'stream', stream, { ...STREAM, lateness: { allowed: '2h', then } });
        for (const [name, document] of Object.entries(WINDOWS))
          await world.registry.put(TENANT, 'window', `${name}_${run}`, { from: stream, ...document });
        let state = seed >>> 0;
        const random = () => {
          state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
          return state / 2 ** 32;
        };
        const sent = flights
          .flatMap((flight) => (random() < 0.1 ? [flight, flight] : [flight]))
          // One in fifty is stuck somewhere for long.
          .map((flight) => ({
            flight,
            comes: flight.at + random() * disorderMs + (random() < 0.02 ? random() * 3 * DAY : 0),
          }))
          .sort((a, b) => a.comes - b.comes)
          .map(({ flight }) => flight);
        const size = Math.ceil(sent.length / batches);
        let newest = 0;
        for (let at = 0; at < sent.length; at += size) {
          const some = sent.slice(at, at + size);
          // Copies of one event meet in one partition, as the way in sees to it.
          const isEven = ({ id }: Flight) => Number(id.slice(1)) % 2 === 0;
          await world.send(stream, some.filter(isEven), 0);
          await world.send(
            stream,
            some.filter((one) => !isEven(one)),
            1,
          );
          newest = Math.max(newest, ...some.map((one) => one.at));
          world.watermark.set(stream, newest - patienceMs);
          await world.windows.settled(TENANT);
        }
        world.watermark.set(stream, newest + 2 * DAY);
        await world.windows.settled(TENANT);
        const ids = await world.engine.rows<{ id: string }>({
          text: `SELECT id FROM ${eventsTable(TENANT, stream)}`,
        });
        const stored = new Set(ids.map(({ id }) => id));
        if (then === 'count') expect(stored.size).toBe(flights.length);
        for (const name of Object.keys(WINDOWS)) {
          await expectTold(`${name}_${run}`, stored);
          const all = await world.results(`${name}_${run}`);
          expect(new Set(all.map((one) => one._id)).size).toBe(all.length);
          await world.registry.remove(TENANT, 'window', `${name}_${run}`);
        }
        await world.registry.remove(TENANT, 'stream', stream);
      }),
      {
        numRuns: Number(process.env.MILLRACE_TEST_HISTORIES ?? 1),
        endOnFailure: true,
      },
    );
  }, 240_000);
});
