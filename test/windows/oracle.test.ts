/**
 * Real flights by their time of departure, over a network that delays, doubles and shuffles them, against a plain
 * loop over all of them. The files and the times are real; the network is drawn at random.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeWorld, TENANT } from './world.ts';

const FLIGHTS = 800;
const FILE = new URL('../../node_modules/vega-datasets/data/flights-3m.parquet', import.meta.url).pathname;
const MINUTE = 60_000;

interface Flight {
  readonly id: string;
  readonly at: number;
  readonly origin: string;
  readonly delay: number;
}

const STREAM = {
  fields: { id: 'string', at: 'timestamp', origin: 'string', delay: 'int64' },
  eventId: 'id',
  eventTime: 'at',
  partitions: 2,
};
const MEASURES = {
  measures: { flights: 'count()', delay: 'sum(delay)', worst: 'max(delay)' },
  by: ['origin'],
};
const WHERE = { where: 'delay > -5' };
const WINDOWS = {
  hourly: { tumbling: { size: '1h' }, ...MEASURES, ...WHERE },
  daily: { tumbling: { size: '1d' }, tz: 'America/New_York', ...MEASURES, ...WHERE },
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
  const rows = await world.engine.rows<{ at: string; origin: string; delay: string }>({
    text: `SELECT toString(toUnixTimestamp64Milli(toDateTime64(date, 3, 'UTC'))) AS at, origin, toString(toInt64(delay)) AS delay FROM file('${FILE}', 'Parquet') WHERE delay IS NOT NULL LIMIT ${FLIGHTS}`,
  });
  flights = rows.map(({ at, origin, delay }, index) => ({
    ...{ id: `f${index}`, at: Number(at), origin, delay: Number(delay) },
  }));
}, 60_000);
afterAll(() => world?.close());

type Window = readonly [startMs: number, endMs: number];
const DAY = 24 * 60 * MINUTE;
/** New York has one offset from UTC in the days of these flights: the first ones of January. */
const NEW_YORK = 5 * 60 * MINUTE;
const floor = (ms: number, size: number, base = 0) => Math.floor((ms - base) / size) * size + base;
const windowsOf: Readonly<Record<string, (times: readonly number[], ms: number) => readonly Window[]>> = {
  hourly: (_, ms) => [[floor(ms, 60 * MINUTE), floor(ms, 60 * MINUTE) + 60 * MINUTE]],
  daily: (_, ms) => [[floor(ms, DAY, NEW_YORK), floor(ms, DAY, NEW_YORK) + DAY]],
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

/** Every window by a plain loop, as text. */
function oracle(window: string): readonly string[] {
  const counted = flights.filter(({ delay }) => delay > -5);
  const found = new Map<string, { flights: number; delay: number; worst: number }>();
  const timesOf = new Map<string, number[]>();
  for (const { origin, at } of counted) timesOf.set(origin, [...(timesOf.get(origin) ?? []), at]);
  for (const times of timesOf.values()) times.sort((a, b) => a - b);
  for (const { origin, at, delay } of counted) {
    for (const [start, end] of windowsOf[window]!(timesOf.get(origin)!, at)) {
      const key = JSON.stringify([new Date(start).toISOString(), new Date(end).toISOString(), origin]);
      const one = found.get(key) ?? { flights: 0, delay: 0, worst: Number.NEGATIVE_INFINITY };
      found.set(key, {
        ...{ flights: one.flights + 1, delay: one.delay + delay, worst: Math.max(one.worst, delay) },
      });
    }
  }
  return [...found].map(([key, one]) => JSON.stringify([key, one.flights, one.delay, one.worst])).sort();
}

async function told(name: string): Promise<readonly string[]> {
  const rows = await world.results<Record<string, string>>(name, 'latest');
  return rows
    .map((one) =>
      JSON.stringify([
        JSON.stringify([one.window_start, one.window_end, one.origin]),
        ...[Number(one.flights), Number(one.delay), Number(one.worst)],
      ]),
    )
    .sort();
}

describe('windows over real flights', () => {
  it('tell what a plain loop over all of them finds, however late, doubled and shuffled they come', async () => {
    const network = fc.record({
      seed: fc.integer(),
      batches: fc.integer({ min: 3, max: 5 }),
      /** Out of order by up to so much, of which the watermark knows `patience`. */
      disorderMs: fc.integer({ min: 0, max: 6 * 60 * MINUTE }),
      patienceMs: fc.integer({ min: 0, max: 2 * 60 * MINUTE }),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(network, async ({ seed, batches, disorderMs, patienceMs }) => {
        run += 1;
        const stream = `flights_${run}`;
        await world.registry.put(TENANT, 'stream', stream, STREAM);
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
        for (const name of Object.keys(WINDOWS)) {
          expect(await told(`${name}_${run}`), name).toEqual(oracle(name));
          const all = await world.results(`${name}_${run}`);
          expect(new Set(all.map((one) => one._id)).size).toBe(all.length);
          await world.registry.remove(TENANT, 'window', `${name}_${run}`);
        }
        await world.registry.remove(TENANT, 'stream', stream);
      }),
      { numRuns: Number(process.env.MILLRACE_TEST_HISTORIES ?? 1), endOnFailure: true },
    );
  }, 240_000);
});
