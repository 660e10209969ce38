/**
 * Questions about recent buckets, answered from memory: put to the stats stage one after the other, without HTTP, over a
 * hundred thousand keys. The events are made by the engine itself.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TENANT, type Offset } from '../src/base/brand.ts';
import { ManualClock, systemClock } from '../src/base/clock.ts';
import { parseRollup, parseStream, type StreamDefinition } from '../src/define/index.ts';
import { createHotTier, type HotTier } from '../src/hot/index.ts';
import { createStats, type Stats, type StatsRequest } from '../src/stats/index.ts';
import { type Engine, eventsTable, openChdb, StoreTables } from '../src/store/index.ts';
import { type BenchOptions, type Print, progress, round } from './figure.ts';
import { Histogram } from './histogram.ts';

const MINUTE_MS = 60_000;
const HOT_MINUTES = 120;
const END_MS = Date.UTC(2024, 0, 1, 12);
const START_MS = END_MS - HOT_MINUTES * MINUTE_MS;
const SIZES = {
  small: { events: 50_000, keys: 1_000, seconds: 0.3 },
  full: { events: 3_000_000, keys: 100_000, seconds: 5 },
} as const;
const ROUND = 64;

const stream = parseStream('detections', {
  fields: { id: 'uint64', at: 'timestamp', location: 'uint64', item: 'string', weight: 'int64' },
  eventId: 'id',
  eventTime: 'at',
});
const rollup = parseRollup(
  'by_location',
  {
    from: 'detections',
    by: ['location'],
    every: '1m',
    measures: { n: 'count()', weight: 'sum(weight)', most: 'max(weight)' },
    hot: '2h',
  },
  (): StreamDefinition => stream,
);
const versioned = <D>(definition: D) => ({ definition, document: {}, version: 1, updatedAtMs: 0 });

const hour = { from: String(END_MS - 60 * MINUTE_MS), to: String(END_MS) };
const CASES: readonly { readonly name: string; readonly ask: (key: number, keys: number) => StatsRequest }[] =
  [
    {
      name: 'point: one key, one hour',
      ask: (key) => ({ fn: ['count', 'sum(weight)'], where: [`location:eq:${key}`], ...hour }),
    },
    {
      name: '60 points: one key, minute by minute',
      ask: (key) => ({ fn: ['count'], every: '1m', where: [`location:eq:${key}`], ...hour }),
    },
    {
      name: '20 keys in one question',
      ask: (key, keys) => ({
        fn: ['count', 'max(weight)'],
        by: 'location',
        where: [`location:in:${Array.from({ length: 20 }, (_, i) => (key + i * 97) % keys).join(',')}`],
        ...hour,
      }),
    },
    {
      name: 'all keys together, minute by minute',
      ask: () => ({ every: '1m', from: String(END_MS - 5 * MINUTE_MS), to: String(END_MS) }),
    },
  ];

export async function run(options: BenchOptions, print: Print): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-bench-hot-'));
  const engine = openChdb({ directory, readers: 2, writers: 1 });
  const clock = new ManualClock(END_MS);
  const hot = createHotTier({ engine, clock, bytesMax: 2 ** 31 });
  try {
    const { events, keys, seconds } = SIZES[options.size];
    progress(`hot: making ${events} events`);
    await fill(engine, events, keys);
    const began = systemClock.monotonicMs();
    hot.keep({ tenant: DEFAULT_TENANT, stream, rollup: versioned(rollup) });
    await hot.settled();
    const warmMs = systemClock.monotonicMs() - began;
    const rows = await rowsOf(engine);
    const stats = statsOver(engine, hot, clock);
    for (const one of CASES) {
      progress(`hot: ${one.name}`);
      const before = hot.figures();
      const found = await drive(
        stats,
        (turn) => one.ask((turn * 7_919) % keys, keys),
        options.seconds ?? seconds,
      );
      const { answered, missed, bytes } = hot.figures();
      if (missed > before.missed) throw new Error(`${one.name} was not answered from memory`);
      print({
        bench: 'hot',
        case: one.name,
        asks_per_second: round((found.asked / found.tookMs) * 1_000),
        p50_us: round(found.latencies.quantile(0.5) * 1_000, 1),
        p99_us: round(found.latencies.quantile(0.99) * 1_000, 1),
        asks: answered - before.answered,
        ...{ keys, rows, events },
        memory_mb: round(bytes / 1e6, 1),
        bytes_per_row: round(bytes / rows, 1),
        warm_ms: round(warmMs),
        rows_checksum: found.check,
        notes: 'in process, one after the other, parsed and planned each time; a row is a key in a minute',
      });
    }
  } finally {
    await hot.stop();
    await engine.close();
    await rm(directory, { recursive: true, force: true });
  }
}

async function fill(engine: Engine, events: number, keys: number): Promise<void> {
  const tables = new StoreTables(engine);
  await tables.createStream(DEFAULT_TENANT, stream);
  const step = (END_MS - START_MS) / events;
  await engine.execute({
    text: `INSERT INTO ${eventsTable(DEFAULT_TENANT, stream.name)}
SELECT number, at, sipHash64(number) % ${keys}, 'x', number % 100, toString(number), number, at, toDateTime64('2024-01-09 00:00:00', 3, 'UTC'), 0, number, ''
FROM (SELECT number, fromUnixTimestamp64Milli(toInt64(${START_MS} + number * ${step}), 'UTC') AS at FROM numbers(${events}))`,
  });
  await tables.buildRollup(DEFAULT_TENANT, stream, rollup, 1);
}

async function rowsOf(engine: Engine): Promise<number> {
  const [row] = await engine.rows<{ rows: string }>({
    text: `SELECT count() AS rows FROM (SELECT DISTINCT location, intDiv(toUnixTimestamp(_time), 60) FROM ${eventsTable(DEFAULT_TENANT, stream.name)})`,
  });
  return Number(row!.rows);
}

function statsOver(engine: Engine, hot: HotTier, clock: ManualClock): Stats {
  const nothing = { stored: 0, duplicates: 0, quarantined: 0, lateDropped: 0, late: 0, withUnknownFields: 0 };
  const none = 0 as Offset;
  const [one, all] = [versioned(stream), [versioned(rollup)]];
  return createStats({
    ...{ engine, hot, clock },
    catalog: { stream: () => one, rollups: () => all, setting: () => undefined },
    log: { state: () => ({ start: none, end: none, bytes: 0, newestAtMs: 0 }) },
    ingest: {
      state: () => ({ applied: none, watermarkMs: undefined, totals: nothing, appliedReceivedAtMs: 0 }),
    },
  });
}

async function drive(stats: Stats, ask: (turn: number) => StatsRequest, seconds: number) {
  const latencies = new Histogram();
  let asked = 0;
  let check = 0;
  const began = systemClock.monotonicMs();
  let now = began;
  do {
    for (let i = 0; i < ROUND; i += 1) {
      const before = systemClock.monotonicMs();
      const { rowsJson } = await stats.ask(DEFAULT_TENANT, stream.name, ask(asked));
      now = systemClock.monotonicMs();
      latencies.record(now - before);
      check = (check * 31 + rowsJson.length) % 1_000_003;
      asked += 1;
    }
  } while (now < began + seconds * 1_000);
  return { latencies, asked, check, tookMs: now - began };
}
